"""An agent with native tool text: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from speceyes_plugins.agents.boxes import Frame, read_box
from speceyes_plugins.agents.tags import last_tagged
from speceyes_plugins.agents.tool_calls import CallError, read_call
from speceyes_plugins.agents.zoom import zoom

from speceyes_cli.plugin import (
    AgentOptions,
    AgentSpec,
    AgentState,
    Answer,
    Message,
    Observation,
    Reply,
    Run,
    Sample,
    ToolError,
    question_text,
    question_turns,
)

ASKED = 'Call <tool_call>{"name": "zoom", "arguments": {"bbox_2d": [x1, y1, x2, y2]}}</tool_call>.'


@dataclass(frozen=True, slots=True)
class Caller:
    """Zooms where the model says, until it writes plain text."""

    max_turns: int
    max_new_tokens: int
    stop: tuple[str, ...] = ("</tool_call>",)
    continues_turn: bool = False

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Would zooming help?"""
        text = f"{question_text(sample)}\nWould zooming in help? Yes or no."
        return question_turns(sample, text)

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The question, and how the tool is called."""
        return question_turns(sample, f"{question_text(sample)}\n{ASKED}")

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | Answer | ToolError]:
        """A tool call zooms; text without one is the answer."""
        call = last_tagged(reply.text, "tool_call")
        if call is None:
            return Answer(reply.text.strip(), "large")
        kind = reply.box_frame or "pixels"
        try:
            said = read_call(call.content, frozenset(("bbox_2d",)), complete=call.closed)
            box, mends = read_box(said.arguments, Frame(kind, state.frames[0]))
        except CallError as error:
            return ToolError(error.kind, error.text)
        arguments = {
            "picture": state.sample.picture,
            "box": box,
            "box_frame": kind,
            "frame": state.frames[0],
            "turn": state.turn,
        }
        return (yield Run(zoom, arguments, name="zoom", notes=(*said.mends, *mends)))


def make(options: AgentOptions) -> Caller:
    """The agent with the command line's budget."""
    return Caller(options.max_turns or 4, options.max_new_tokens or 64)


CALLER = AgentSpec("caller", make, {}, "zooms by tool calls in the form of Qwen's models")
