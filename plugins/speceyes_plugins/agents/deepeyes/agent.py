"""DeepEyes: the large model thinks, zooms into a picture, and answers."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple, TypeVar

from speceyes_cli.plugin import (
    AgentOptions,
    AgentState,
    Answer,
    BoxFrame,
    Message,
    Observation,
    OptionValue,
    Picture,
    Reply,
    Run,
    Sample,
    Size,
    ToolError,
    fill,
    one_line,
    question_text,
    question_turns,
    short_question,
    with_question,
)
from speceyes_plugins.agents.boxes import BOX_FRAMES, BOX_KEYS, Box, Frame, read_box
from speceyes_plugins.agents.tags import (
    Tagged,
    after_thought,
    answers_first,
    last_tagged,
    load_prompts,
    untagged_answer,
)
from speceyes_plugins.agents.tolerant_json import Value
from speceyes_plugins.agents.tool_calls import CallError, read_call, read_index, without_index
from speceyes_plugins.agents.zoom import ROUNDINGS, zoom

T = TypeVar("T", bound=str)
D = TypeVar("D")

TOOL = "image_zoom_in_tool"
INDEX = "img_idx"
"""The argument that says which of several pictures is meant, as in Qwen's own examples."""
MAX_TURNS = 6  # upstream SpecEyes
MAX_NEW_TOKENS = 512
NAMES = frozenset(("imagezoomintool", "imagezoomin", "zoomintool", "zoomin", "zoomtool", "zoom"))
"""Ways to write the tool's name, in small letters only."""
MAX_NAME = 100
ONE_LETTER = 0.93
"""`difflib`'s ratio of the whole name with one letter missing, wrong or too many; zooming out has
0.83."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a call can be about."""

    pictures: tuple[Picture, ...]
    usual: Picture
    """The one meant where a call names none."""
    frames: tuple[Size, ...]
    """The pictures as the model saw them, those of the crops behind them."""
    kind: BoxFrame


class Meant(NamedTuple):
    """What a call is about."""

    picture: Picture
    frame: Size | None
    box: Box


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
        self.question = options.question

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Ask, yes or no, whether zooming would help."""
        question = short_question(sample, self.question)
        text = with_question(self.prompts["screen"], question)
        return question_turns(sample, text, self.prompts["screen_system"])

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The tool's schema, the conversation and the question; which picture, if several."""
        question = question_text(sample, self.question)
        if len(sample.pictures) > 1:
            question = f"{question}\n{several_pictures(len(sample.pictures))}"
        text = with_question(self.prompts["instruction"], question)
        return question_turns(sample, text, self.prompts["system"])

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | Answer | ToolError]:
        """An answer ends the loop; a tool call zooms; anything else is told to the model."""
        call = last_tagged(reply.text, "tool_call")
        answer = last_tagged(reply.text, "answer")
        if answer is not None and (call is None or answers_first(answer, call)):
            return Answer(answer.content.strip(), "large")
        kind = self.box_frame or reply.box_frame or "pixels"
        shown = Shown(state.sample.pictures, state.sample.picture, state.frames, kind)
        try:
            if call is None:
                meant, mends = untagged_call(reply, shown)
            else:
                meant, mends = parse_call(call, shown)
        except CallError as error:
            last_turn = state.turn + 1 >= self.max_turns
            spoken = call is None and f'"{TOOL}"' not in reply.text  # else a call, if a broken one
            untagged = untagged_answer(reply) if spoken and last_turn else None
            return untagged or self._complain(error.kind, error.text)
        arguments = {
            "picture": meant.picture,
            "box": meant.box,
            "box_frame": kind,
            "frame": meant.frame,
            "turn": state.turn,
            "rounding": self.rounding,
        }
        seen = yield Run(zoom, arguments, name=TOOL, notes=mends)
        if isinstance(seen, ToolError):
            return self._complain(seen.kind, seen.text)
        crop = next(part for part in seen.content if isinstance(part, Picture))
        return Observation(observation(crop, self.prompts), (*mends, *seen.notes))

    def _complain(self, kind: str, text: str) -> ToolError:
        """An error in the tags the model knows tool results by."""
        told = {"picture": text, "reminder": self.prompts["reminder"]}
        return ToolError(kind, fill(self.prompts["observation"], told))


def observation(crop: Picture, prompts: Mapping[str, str]) -> tuple[str | Picture, ...]:
    """The user turn that shows a crop."""
    before, _, behind = prompts["observation"].partition("{picture}")
    reminder = {"reminder": prompts["reminder"]}
    return tuple(part for part in (fill(before, reminder), crop, fill(behind, reminder)) if part)


def parse_call(call: Tagged, shown: Shown) -> tuple[Meant, tuple[str, ...]]:
    """The picture and box of a call and what was mended to read it; raises `CallError`."""
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
    place, more = find_picture(said.arguments, shown)
    frame = shown.frames[place] if place < len(shown.frames) else None
    box, box_mends = read_box(without_index(said.arguments, INDEX), Frame(shown.kind, frame))
    return Meant(shown.pictures[place], frame, box), (*mends, *more, *box_mends)


def find_picture(arguments: Value, shown: Shown) -> tuple[int, tuple[str, ...]]:
    """The place of the picture that a call means, and what was mended; raises `CallError`.

    Of one picture the model is told no number, so that none which it gives means anything.
    """
    if len(shown.pictures) == 1:
        return 0, ()
    usual = shown.pictures.index(shown.usual)
    return read_index(arguments, INDEX, len(shown.pictures), usual)


def several_pictures(count: int) -> str:
    """What a model is told of them."""
    return f'There are {count} pictures: "{INDEX}" says which, from 0 to {count - 1}.'


def untagged_call(reply: Reply, shown: Shown) -> tuple[Meant, tuple[str, ...]]:
    """As `parse_call`, for a reply in which the tool is called without tags."""
    said = after_thought(reply.text) or ""
    if TOOL in said:
        with suppress(CallError):
            call = Tagged(said, 0, len(said), closed=reply.finish == "stop")
            meant, mends = parse_call(call, shown)
            return meant, ("a call without tags", *mends)
    raise CallError("no_action", "Neither <tool_call> nor <answer> was found.")


def is_zoom(name: str) -> bool:
    """Whether a name means the tool: in other case or signs, shorter, or with one letter wrong."""
    plain = re.sub(r"[^a-z]", "", name[:MAX_NAME].lower().rpartition(".")[2])
    return plain in NAMES or bool(get_close_matches(plain, NAMES, cutoff=ONE_LETTER))


def choice(value: OptionValue, known: tuple[T, ...], default: D) -> T | D:
    """The value as one of the known ones, the default for none."""
    return next((name for name in known if name == value), default)
