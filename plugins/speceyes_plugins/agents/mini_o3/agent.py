"""Mini-o3: the large model thinks, points into any picture seen so far, and answers."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NamedTuple

from speceyes_cli.plugin import (
    AgentOptions,
    AgentState,
    Answer,
    Message,
    Observation,
    Picture,
    Reply,
    Run,
    Sample,
    ToolError,
    chat_pictures,
    one_line,
    question_text,
    question_turns,
    short_question,
    with_question,
)
from speceyes_plugins.agents.boxes import BOX_KEYS, Box, Frame, check_frame, read_box
from speceyes_plugins.agents.native_calls import CallWatch
from speceyes_plugins.agents.tags import (
    Tagged,
    answers_first,
    last_tagged,
    load_prompts,
    untagged_answer,
)
from speceyes_plugins.agents.tolerant_json import Value
from speceyes_plugins.agents.tool_calls import CallError, read_call, usual_index
from speceyes_plugins.agents.zoom import CropSizes, zoom

TOOL = "grounding"
MAX_TURNS = 12  # trained with 6; accuracy rises with more, up to 32 (arXiv 2509.07969)
MAX_NEW_TOKENS = 2048
SOURCE = "source"
ORIGINAL = "original_image"
NUMBERED = re.compile(r"(?:(?:observation|image)[ _-]*+)?(\d{1,6})", re.IGNORECASE)
CROPS = CropSizes(grid=28, least=40_000)  # the least area that the model was trained on
FRACTIONS = Frame("fractions", None)


class Asked(NamedTuple):
    """What a turn asks to see."""

    picture: int
    """0: the original; 1: the first crop."""
    box: Box
    mends: tuple[str, ...]


class MiniO3:
    """The agent's two methods; it holds no model and does no I/O."""

    stop: tuple[str, ...] = ("</grounding>", "</answer>")
    continues_turn = False

    def __init__(self, options: AgentOptions) -> None:
        self.max_turns = options.max_turns or MAX_TURNS
        self.max_new_tokens = options.max_new_tokens or MAX_NEW_TOKENS
        self.prompts = load_prompts("speceyes_plugins.agents.mini_o3", options.prompts)
        self.question = options.question
        self._watch = CallWatch("mini-o3")

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Ask, yes or no, whether zooming would help."""
        question = short_question(sample, self.question)
        return question_turns(sample, with_question(self.prompts["screen"], question))

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The tool's form, the picture and the question."""
        question = question_text(sample, self.question)
        return question_turns(sample, f"\n{question}", self.prompts["system"])

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | Answer | ToolError]:
        """An answer ends the loop; a grounding crops; anything else is told to the model."""
        call = last_tagged(reply.text, TOOL)
        answer = last_tagged(reply.text, "answer")
        self._watch.turn(called=call is not None)
        if answer is not None and (call is None or answers_first(answer, call)):
            return Answer(answer.content.strip(), "large")
        pictures = chat_pictures(state.messages)
        try:
            usual = usual_index(pictures, state.sample)
            asked = parse_grounding(call, len(pictures), usual)
        except CallError as error:
            last_turn = state.turn + 1 >= self.max_turns
            untagged = untagged_answer(reply) if call is None and last_turn else None
            return untagged or self._complain(error.kind, error.text)
        arguments = {
            "picture": pictures[asked.picture],
            "box": asked.box,
            "box_frame": "fractions",
            "frame": None,
            "turn": state.turn,
            "sizes": CROPS,
        }
        seen = yield Run(zoom, arguments, name=TOOL, notes=asked.mends)
        if isinstance(seen, ToolError):
            return self._complain(seen.kind, seen.text)
        crop = next(part for part in seen.content if isinstance(part, Picture))
        numbers = {"{action}": state.turn, "{observation}": len(pictures)}
        text = self.prompts["observation"]
        for name, number in numbers.items():
            text = text.replace(name, str(number))
        return Observation((text, crop), (*asked.mends, *seen.notes))

    def _complain(self, kind: str, text: str) -> ToolError:
        return ToolError(kind, f"{text}\n{self.prompts['reminder']}")


def parse_grounding(call: Tagged | None, count: int, usual: int = 0) -> Asked:
    """The picture and the box of a grounding, of `count` pictures; raises `CallError`.

    `usual` is the one meant where none is named, and by `original_image`.
    """
    if call is None:
        raise CallError("no_action", "Neither <grounding> nor <answer> was found.")
    said = read_call(call.content, BOX_KEYS | {SOURCE}, complete=call.closed)
    mends = tuple(mend for mend in said.mends if mend != "arguments beside the name")
    named = isinstance(said.arguments, dict) and SOURCE in said.arguments
    source = said.arguments[SOURCE] if isinstance(said.arguments, dict) and named else None
    picture = read_source(source, count, usual)
    if source is None:
        mends = (*mends, f"no {SOURCE}: the original")
    rest = said.arguments
    if isinstance(rest, dict):
        rest = {key: value for key, value in rest.items() if key != SOURCE}
    box, box_mends = read_box(rest, FRACTIONS)
    check_frame(box, FRACTIONS)
    return Asked(picture, box, (*mends, *box_mends))


def read_source(said: Value, count: int, usual: int) -> int:
    """The number of the picture that is meant, of `count`; raises `CallError`, "no_picture"."""
    if count == 0:
        raise CallError("no_picture", "There is no picture.")
    text = "" if said is None else str(said).strip()
    if text.lower().replace(" ", "_") in {"", ORIGINAL, "original", "image"}:
        return usual
    number = NUMBERED.fullmatch(text)
    if number is None or int(number.group(1)) >= count:
        known = [ORIGINAL, *(f"observation_{i}" for i in range(1, count))]
        listed = known[0] if count == 1 else f"{known[0]}, {known[1]} to {known[-1]}"
        raise CallError(
            "no_picture", f"There is no picture {one_line(text, 40)!r}; there is {listed}."
        )
    return int(number.group(1))
