"""What a tool-using agent is to the program: pure methods over plain values."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from speceyes_cli.core.chat import (
    Answer,
    Ask,
    Message,
    Observation,
    Reply,
    Run,
    Size,
    Tool,
    ToolError,
    ToolResults,
)
from speceyes_cli.core.samples import Sample


@dataclass(frozen=True, slots=True, eq=False)
class Begin:
    """A policy wants other steps run beside it from now on; it goes on at once, with a `Begun`."""

    steps: Generator[Any, Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """What a policy waits for or drops; what it does neither with is dropped when it ends."""


@dataclass(frozen=True, slots=True)
class Await:
    """A policy waits for what it has begun, and is sent what that ended with."""

    begun: Begun


@dataclass(frozen=True, slots=True)
class Drop:
    """A policy no longer wants what it has begun: nothing follows the call that it is in."""

    begun: Begun


Policy = Generator[Ask | Run | Begin | Await | Drop, Any, Answer]
"""A method at work on one sample: yields what it needs, is sent what came back."""


@dataclass(frozen=True, slots=True)
class AgentState:
    """One trajectory between two turns of the large model."""

    sample: Sample
    messages: tuple[Message, ...]
    turn: int
    """0 for the first reply."""
    frames: tuple[Size, ...] = ()
    """The pictures in `messages` as the model saw them in the latest reply."""

    @property
    def key(self) -> str:
        """The trajectory's key, `split/id`: what a tool keeps, it keeps under this."""
        return self.sample.key


class Agent(Protocol):
    """A tool-using way to answer with the large model, as two pure methods and a few numbers."""

    max_turns: int
    max_new_tokens: int
    stop: tuple[str, ...]
    continues_turn: bool
    """Observations go inside the unfinished assistant turn (Thyme), not into a user turn."""

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Messages that ask the large model, yes or no, whether a tool would help."""

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The first messages of the agent's loop."""

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | ToolResults | Answer | ToolError]:
        """Read one reply: run tools as needed, then return what the model sees or the answer.

        What an `Observation` holds, and a `ToolError`'s text, reach the model word for word: an
        agent whose model expects them in tags puts the tags there. `ToolResults` reach it in the
        form that its chat template has for them.
        """


@runtime_checkable
class ToolCaller(Protocol):
    """What an agent also has when its model is told of its tools by the chat template."""

    tools: tuple[Tool, ...]


@runtime_checkable
class Keeper(Protocol):
    """What an agent also has when its tools keep something: an interpreter, files, a process."""

    def forget(self, key: str) -> None:
        """The trajectory of this `AgentState.key` has ended: drop what was kept for it."""

    def close(self) -> None:
        """The run has ended: drop everything."""


@runtime_checkable
class Worded(Protocol):
    """What an agent also has when `--prompts` may replace its texts."""

    prompts: Mapping[str, str]
    """The texts that it uses, by key."""
