"""Pixel Reasoner: the large model reasons, crops any picture seen so far, and boxes its answer."""

from __future__ import annotations

from collections.abc import Generator

from speceyes_cli.plugin import (
    QUESTION,
    AgentOptions,
    AgentState,
    Answer,
    Message,
    Observation,
    Picture,
    Reply,
    Run,
    Sample,
    Tool,
    ToolError,
    ToolResults,
    chat_pictures,
    question_text,
    question_turns,
    short_question,
    with_question,
)
from speceyes_plugins.agents.boxes import BOX_KEYS, Box, Frame, check_frame, read_box
from speceyes_plugins.agents.native_calls import CallWatch, ToolNames, ended, read_calls
from speceyes_plugins.agents.pixel_reasoner.boxed import boxed_answer
from speceyes_plugins.agents.tags import after_thought, load_prompts
from speceyes_plugins.agents.tool_calls import (
    Call,
    CallError,
    read_index,
    usual_index,
    without_index,
)
from speceyes_plugins.agents.zoom import CropSizes, zoom

TOOL = "crop_image_normalized"
TARGET = "target_image"
MAX_TURNS = 5  # four calls and an answer, as in the model's own evaluation
MAX_NEW_TOKENS = 1024
CROPS = CropSizes(grid=28, least=256 * 28 * 28)
MARGIN = 0.1
"""Of the picture's side, added to each side of a box as the model's own tool does."""
MOST_MARGIN = 600
"""Pixels that it is at most."""
FRACTIONS = Frame("fractions", None)


class PixelReasoner:
    """The agent's two methods; it holds no model and does no I/O."""

    stop: tuple[str, ...] = ("</tool_call>",)
    continues_turn = False

    def __init__(self, options: AgentOptions) -> None:
        self.max_turns = options.max_turns or MAX_TURNS
        self.max_new_tokens = options.max_new_tokens or MAX_NEW_TOKENS
        self.prompts = load_prompts("speceyes_plugins.agents.pixel_reasoner", options.prompts)
        self.question = options.question
        numbers = {"type": "array", "description": self.prompts["box"], "items": {"type": "number"}}
        target = {"type": "number", "description": self.prompts["picture"]}
        properties = {"bbox_2d": numbers, TARGET: target}
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        self.tools = (Tool(TOOL, self.prompts["crop"], parameters),)
        self._names = ToolNames([TOOL], {"cropimage": TOOL, "crop": TOOL, "zoomin": TOOL})
        self._watch = CallWatch("pixel-reasoner")

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Ask, yes or no, whether zooming would help."""
        question = short_question(sample, self.question)
        return question_turns(sample, with_question(self.prompts["screen"], question))

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The picture and the question; the function stands in the system turn."""
        instruction = self.prompts["instruction"]
        if QUESTION not in instruction:
            instruction = f"\n{instruction}"
        text = with_question(instruction, question_text(sample, self.question))
        return question_turns(sample, text, self.prompts["system"])

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | ToolResults | Answer | ToolError]:
        """The last call of the turn is run; a turn without one is the answer."""
        calls = read_calls(reply, self._names, BOX_KEYS | {TARGET})
        self._watch.turn(called=bool(calls))
        if not calls:
            boxed = boxed_answer(after_thought(reply.text) or reply.text)
            if boxed is not None:
                return Answer(boxed, "large")
            return ended(reply, self.prompts["reminder"], self.max_new_tokens)
        pictures = chat_pictures(state.messages)
        results: list[Observation | ToolError] = []
        for call in calls if reply.calls else calls[-1:]:
            result = yield from self._call(call, pictures, state)
            results.append(result)
        return ToolResults(tuple(results)) if reply.calls else results[0]

    def _call(
        self, call: Call | CallError, pictures: list[Picture], state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | ToolError]:
        try:
            if isinstance(call, CallError):
                raise call
            _, mends = self._names.meant(call.name)
            usual = usual_index(pictures, state.sample)
            place, more = read_index(call.arguments, TARGET, len(pictures), usual, first=1)
            box, box_mends = read_box(without_index(call.arguments, TARGET), FRACTIONS)
            check_frame(box, FRACTIONS)
        except CallError as error:
            return self._complain(ToolError(error.kind, error.text))
        mends = (*call.mends, *mends, *more, *box_mends)
        arguments = {
            "picture": pictures[place],
            "box": box,
            "box_frame": "fractions",
            "turn": state.turn,
        }
        seen = yield Run(crop, arguments, name=TOOL, notes=mends)
        if isinstance(seen, ToolError):
            return self._complain(seen)
        return Observation(self._result(seen), (*mends, *seen.notes))

    def _result(self, seen: Observation) -> tuple[str | Picture, ...]:
        picture = next(part for part in seen.content if isinstance(part, Picture))
        width, height = picture.open().size
        text = self.prompts["result"]
        text = text.replace("{width}", str(width)).replace("{height}", str(height))
        return f"\n{text}", picture

    def _complain(self, error: ToolError) -> ToolError:
        text = self.prompts["error"].replace("{error}", error.text)
        return ToolError(error.kind, f"\n{text}\n", error.notes)


def crop(picture: Picture, box: Box, *, box_frame: str, turn: int) -> Observation | ToolError:
    """The box, in fractions of the picture, with a margin on each side as far as there is any."""
    del box_frame  # for the record
    width, height = picture.open().size
    across, down = (min(MARGIN, MOST_MARGIN / side) for side in (width, height))
    left, right = max(0.0, box.left - across), min(1.0, box.right + across)
    top, bottom = max(0.0, box.top - down), min(1.0, box.bottom + down)
    wider = Box(left, top, right, bottom)
    return zoom(picture, wider, box_frame="fractions", frame=None, turn=turn, sizes=CROPS)
