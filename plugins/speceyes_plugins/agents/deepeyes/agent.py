"""DeepEyes: the large model thinks, zooms into the first picture, and answers."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import suppress
from difflib import get_close_matches
from typing import TypeVar

from speceyes_cli.plugin import (
    AgentOptions,
    AgentState,
    Answer,
    Message,
    Observation,
    OptionValue,
    Picture,
    Reply,
    Run,
    Sample,
    ToolError,
    one_line,
    question_text,
)
from speceyes_plugins.agents.boxes import BOX_FRAMES, BOX_KEYS, Box, Frame, read_box
from speceyes_plugins.agents.tags import (
    Tagged,
    after_thought,
    last_tagged,
    load_prompts,
    untagged_answer,
)
from speceyes_plugins.agents.tool_calls import CallError, read_call
from speceyes_plugins.agents.zoom import ROUNDINGS, zoom

T = TypeVar("T", bound=str)
D = TypeVar("D")

TOOL = "image_zoom_in_tool"
MAX_TURNS = 6  # upstream SpecEyes
MAX_NEW_TOKENS = 512
NAMES = frozenset(("imagezoomintool", "imagezoomin", "zoomintool", "zoomin", "zoomtool", "zoom"))
"""Ways to write the tool's name, in small letters only."""
MAX_NAME = 100
ONE_LETTER = 0.93
"""`difflib`'s ratio of the whole name with one letter missing, wrong or too many; zooming out has
0.83."""


class DeepEyes:
    """The agent's two methods; it holds no model and does no I/O."""

    stop: tuple[str, ...] = ("</tool_call>", "</answer>")
    continues_turn = False

    def __init__(self, options: AgentOptions) -> None:
        self.max_turns = options.max_turns or MAX_TURNS
        self.max_new_tokens = options.max_new_tokens or MAX_NEW_TOKENS
        self.box_frame = choice(options.options.get("box-frame"), BOX_FRAMES, None)
        self.rounding = choice(options.options.get("box-rounding"), ROUNDINGS, ROUNDINGS[0])
        self.prompts = load_prompts("speceyes_plugins.agents.deepeyes", options.prompts)

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Ask, yes or no, whether zooming would help."""
        text = f"{question_text(sample)}\n{self.prompts['screen']}"
        return (Message("user", (sample.picture, text)),)

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The tool's schema, the picture and the question."""
        text = f"{question_text(sample)}\n{self.prompts['instruction']}"
        return (
            Message("system", (self.prompts["system"],)),
            Message("user", (sample.picture, text)),
        )

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | Answer | ToolError]:
        """An answer ends the loop; a tool call zooms; anything else is told to the model."""
        call = last_tagged(reply.text, "tool_call")
        answer = last_tagged(reply.text, "answer")
        if answer is not None and (call is None or answers_first(answer, call)):
            return Answer(answer.content.strip(), "large")
        frame = state.frames[0] if state.frames else None
        kind = self.box_frame or reply.box_frame or "pixels"
        try:
            if call is None:
                box, mends = untagged_call(reply, Frame(kind, frame))
            else:
                box, mends = parse_call(call, Frame(kind, frame))
        except CallError as error:
            last_turn = state.turn + 1 >= self.max_turns
            spoken = call is None and f'"{TOOL}"' not in reply.text  # else a call, if a broken one
            untagged = untagged_answer(reply) if spoken and last_turn else None
            return untagged or self._complain(error.kind, error.text)
        arguments = {
            "picture": state.sample.picture,
            "box": box,
            "box_frame": kind,
            "frame": frame,
            "turn": state.turn,
            "rounding": self.rounding,
        }
        seen = yield Run(zoom, arguments, name=TOOL, notes=mends)
        if isinstance(seen, ToolError):
            return self._complain(seen.kind, seen.text)
        crop = next(part for part in seen.content if isinstance(part, Picture))
        return Observation(observation(crop, self.prompts["reminder"]), (*mends, *seen.notes))

    def _complain(self, kind: str, text: str) -> ToolError:
        """An error in the tags the model knows tool results by."""
        reminder = self.prompts["reminder"]
        return ToolError(kind, f"<tool_response>\n{text}\n{reminder}\n</tool_response>")


def answers_first(answer: Tagged, call: Tagged) -> bool:
    """Whether the turn ends with the answer: at whichever closes first, else with the later one.

    What a model writes after its call's closing tag rests on a picture that it has not been shown.
    """
    first = min(answer, call, key=lambda tagged: tagged.start)
    return (first is answer) == first.closed


def observation(crop: Picture, reminder: str) -> tuple[str | Picture, ...]:
    """The user turn that shows a crop."""
    return ("<tool_response>\n", crop, f"\n{reminder}\n</tool_response>")


def parse_call(call: Tagged, frame: Frame) -> tuple[Box, tuple[str, ...]]:
    """The box of a call and what was mended to read it; raises `CallError`."""
    said = read_call(call.content, BOX_KEYS, complete=call.closed)
    mends = said.mends
    if said.name is None:
        mends = (*mends, "no tool named")
    elif said.name != TOOL:
        if not is_zoom(said.name):
            raise CallError(
                "unknown_tool",
                f"There is no tool {one_line(said.name, 60)!r}: the only one is {TOOL}.",
            )
        mends = (*mends, f'"{said.name}" for "{TOOL}"')
    box, box_mends = read_box(said.arguments, frame)
    return box, (*mends, *box_mends)


def untagged_call(reply: Reply, frame: Frame) -> tuple[Box, tuple[str, ...]]:
    """As `parse_call`, for a reply in which the tool is called without tags."""
    said = after_thought(reply.text) or ""
    if TOOL in said:
        with suppress(CallError):
            call = Tagged(said, 0, len(said), closed=reply.finish == "stop")
            box, mends = parse_call(call, frame)
            return box, ("a call without tags", *mends)
    raise CallError("no_action", "Neither <tool_call> nor <answer> was found.")


def is_zoom(name: str) -> bool:
    """Whether a name means the tool: in other case or signs, shorter, or with one letter wrong."""
    plain = re.sub(r"[^a-z]", "", name[:MAX_NAME].lower().rpartition(".")[2])
    return plain in NAMES or bool(get_close_matches(plain, NAMES, cutoff=ONE_LETTER))


def choice(value: OptionValue, known: tuple[T, ...], default: D) -> T | D:
    """The value as one of the known ones, the default for none."""
    return next((name for name in known if name == value), default)
