"""Any model with native tool calls: it zooms into any picture seen so far and answers in prose."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

from speceyes_cli.plugin import (
    AgentOptions,
    AgentState,
    Answer,
    BoxFrame,
    Message,
    Observation,
    Picture,
    Reply,
    Run,
    Sample,
    Size,
    ToolError,
    ToolResults,
    chat_pictures,
    question_text,
    question_turns,
    short_question,
    with_question,
)
from speceyes_plugins.agents.boxes import BOX_FRAMES, BOX_KEYS, Frame, check_frame, read_box
from speceyes_plugins.agents.native_calls import CallWatch, ToolNames, ended, read_calls
from speceyes_plugins.agents.picture_tools import enlarge, rotate
from speceyes_plugins.agents.qwen.schemas import (
    ANGLE,
    ENLARGE,
    FACTOR,
    PICTURE,
    ROTATE,
    ZOOM,
    enlarge_tool,
    rotate_tool,
    zoom_tool,
)
from speceyes_plugins.agents.tags import load_prompts
from speceyes_plugins.agents.tool_calls import (
    Call,
    CallError,
    read_index,
    read_number,
    usual_index,
    without_index,
)
from speceyes_plugins.agents.zoom import CropSizes, zoom

ToolSet = Literal["zoom", "all"]
TOOL_SETS: tuple[ToolSet, ...] = get_args(ToolSet)
MAX_TURNS = 10
MAX_NEW_TOKENS = 1024
MAX_CALLS = 8
"""Of one turn that are run."""
CROPS = CropSizes(grid=32, least=256 * 32 * 32)  # Qwen-Agent's own: a crop has 256 tokens or more
ALIASES = {"zoom": ZOOM, "zoomtool": ZOOM, "crop": ZOOM, "rotate": ROTATE, "enlarge": ENLARGE}
ARGUMENTS = BOX_KEYS | {PICTURE, ANGLE, FACTOR}


class Shown(NamedTuple):
    """A picture of the conversation, and its size as the model saw it where that is known."""

    picture: Picture
    frame: Size | None


class Qwen:
    """The agent's two methods; it holds no model and does no I/O."""

    stop: tuple[str, ...] = ()
    continues_turn = False

    def __init__(self, options: AgentOptions) -> None:
        self.max_turns = options.max_turns or MAX_TURNS
        self.max_new_tokens = options.max_new_tokens or MAX_NEW_TOKENS
        own = options.options
        self.box_frame = next((f for f in BOX_FRAMES if f == own.get("box-frame")), None)
        self.prompts = load_prompts("speceyes_plugins.agents.qwen", options.prompts)
        self.question = options.question
        tools = [zoom_tool(self.prompts)]
        if own.get("tools") == "all":
            tools += [rotate_tool(self.prompts), enlarge_tool(self.prompts)]
        self.tools = tuple(tools)
        self._names = ToolNames([tool.name for tool in tools], ALIASES)
        self._watch = CallWatch("qwen")

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Ask, yes or no, whether zooming would help."""
        question = short_question(sample, self.question)
        return question_turns(sample, with_question(self.prompts["screen"], question))

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The conversation and the question; the tools stand beside them."""
        question = question_text(sample, self.question)
        text = with_question(self.prompts["instruction"], question)
        return question_turns(sample, text, self.prompts["system"])

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, ToolResults | Answer | ToolError]:
        """Every call of the turn is run; a turn without one is the answer."""
        calls = read_calls(reply, self._names, ARGUMENTS)
        self._watch.turn(called=bool(calls))
        if not calls:
            return ended(reply, self.prompts["reminder"], self.max_new_tokens)
        pictures = chat_pictures(state.messages)
        frames: Sequence[Size | None] = state.frames or (None,) * len(pictures)
        seen = [Shown(*pair) for pair in zip(pictures, frames, strict=False)]
        usual = usual_index(pictures, state.sample)
        results: list[Observation | ToolError] = []
        for place, call in enumerate(calls):
            if place >= MAX_CALLS:
                told = f"Not run: {MAX_CALLS} calls a turn are run."
                results.append(ToolError("too_many_calls", told))
                continue
            try:
                run = self._run(call, seen, usual, reply.box_frame, state.turn)
            except CallError as error:
                results.append(ToolError(error.kind, error.text))
            else:
                found = yield run
                results.append(_with_notes(found, run.notes))
        return ToolResults(tuple(results))

    def _run(
        self,
        call: Call | CallError,
        seen: Sequence[Shown],
        usual: int,
        box_frame: BoxFrame | None,
        turn: int,
    ) -> Run:
        """What a call means, `usual` being the picture where it names none; raises `CallError`."""
        if isinstance(call, CallError):
            raise call
        name, mends = self._names.meant(call.name)
        place, more = read_index(call.arguments, PICTURE, len(seen), usual)
        picture, frame = seen[place]
        mends = (*call.mends, *mends, *more)
        arguments: dict[str, Any] = {"picture": picture, "turn": turn}
        if name == ZOOM:
            kind = self.box_frame or box_frame or "pixels"
            units = Frame(kind, frame)
            box, more = read_box(without_index(call.arguments, PICTURE), units)
            check_frame(box, units)
            arguments |= {"box": box, "box_frame": kind, "frame": frame}
            return Run(partial(zoom, sizes=CROPS), arguments, name=name, notes=(*mends, *more))
        key, tool = (ANGLE, rotate) if name == ROTATE else (FACTOR, enlarge)
        arguments[key] = read_number(call.arguments, key)
        return Run(tool, arguments, name=name, notes=mends)


def _with_notes(found: Observation | ToolError, mends: tuple[str, ...]) -> Observation | ToolError:
    """The result with what was mended in its call, for the note of the turn."""
    if isinstance(found, Observation):
        return Observation(found.content, (*mends, *found.notes))
    return ToolError(found.kind, found.text, (*mends, *found.notes))
