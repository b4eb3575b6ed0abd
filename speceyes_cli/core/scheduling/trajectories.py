"""One trajectory from its task to its end, and the calls that it makes on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from speceyes_cli.core.agents import Await, Begun, Policy
from speceyes_cli.core.chat import Answer, Ask, Observation, Reply, Run, ToolError
from speceyes_cli.core.scheduling.batching import Waiting
from speceyes_cli.core.scheduling.engine_groups import EngineGroup

Observer = Callable[[str, "Ask | Run | Asked | Ran"], None]
"""Told, on the scheduler's thread, of a trajectory's key with each need and then its outcome."""


WASTED = "wasted"
"""The phase of calls that were begun beside others and not wanted in the end."""


class Task(NamedTuple):
    """One trajectory to be run."""

    key: str
    """Unique among the live ones; engines know it as `Ask.trajectory`."""
    start: Callable[[], Policy]


class Asked(NamedTuple):
    """A model was asked and replied."""

    ask: Ask
    reply: Reply


class Ran(NamedTuple):
    """A tool ran."""

    run: Run
    outcome: Observation | ToolError
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A trajectory that has ended, with an answer or an error, never both."""

    key: str
    answer: Answer | None
    error: Exception | None
    failed_in: str | None
    """The phase or tool that was at work when the error came."""
    events: tuple[Asked | Ran, ...]
    elapsed: float
    """Seconds from admission to end, waiting for others included."""


@dataclass(slots=True, eq=False)
class Trajectory:
    """A live trajectory as the scheduler sees it."""

    index: int
    key: str
    policy: Generator[Any, Any, Any]
    started: float
    events: list[Asked | Ran] = field(default_factory=list)
    need: Ask | Run | Await | None = None
    parent: Trajectory | None = None
    """The trajectory that began this one beside itself."""
    beside: dict[Begun, Trajectory] = field(default_factory=dict)
    """What it has begun and not yet had back."""
    outcome: Any = None
    """What it ended with, until its parent asks."""
    lost: int = 0
    """Calls for the present need that were lost with their batch or worker."""
    overtaken: int = 0
    """Calls of its engines that went ahead of its present need."""
    cancelled: bool = False
    """Nobody wants its answer: it ends when the call it is in comes back."""

    def begin(self, steps: Generator[Any, Any, Any]) -> Begun:
        """Have other steps beside this trajectory, under its key."""
        begun = Begun()
        self.beside[begun] = Trajectory(self.index, self.key, steps, time.monotonic(), parent=self)
        return begun

    def take(self, begun: Begun) -> Any:
        """What these steps ended with; what they did is from now on this trajectory's own."""
        other = self.beside.pop(begun)
        self.events += other.events
        self.need = other.need
        return other.outcome

    def wasted(self, running: float | None) -> list[Asked | Ran]:
        """What it did for nothing, as calls of a phase of their own.

        `running` is its share, in seconds, of the call that it is still in.
        """
        done: list[Asked | Ran] = [
            Asked(replace(one.ask, phase=WASTED, gate=None), one.reply)
            if isinstance(one, Asked)
            else one
            for one in self.events
        ]
        if running is not None and isinstance(self.need, Ask):
            cut = Reply("", 0, "rejected", seconds=running)
            done.append(Asked(replace(self.need, phase=WASTED, gate=None), cut))
        return done

    def as_waiting(self, ask: Ask) -> Waiting:
        """Its ask among those that wait for a model."""
        return Waiting(
            role=ask.role,
            phase=ask.phase,
            turn=self.turns(ask.phase),
            alone=self.lost > 0,
            overtaken=self.overtaken,
            longest=ask.max_new_tokens,
        )

    def turns(self, phase: str) -> int:
        """How often it has asked in that phase."""
        return sum(isinstance(one, Asked) and one.ask.phase == phase for one in self.events)


@dataclass(slots=True, eq=False)
class Job:
    """One call on a worker, and what came of it for each trajectory."""

    trajectories: list[Trajectory]
    group: EngineGroup | None = None
    """None: a tool call."""
    timeout: float = math.inf
    deadline: float = math.inf
    """When a tool call is given up, on the monotonic clock."""
    began: float = field(default_factory=time.monotonic)
    outcomes: list[Any] = field(default_factory=list)
    seconds: float = 0.0


class Notice(NamedTuple):
    """A word from another thread: the source has more, or a trajectory is to end."""

    cancelled: str | None = None


class LostCallError(Exception):
    """A whole call was lost: what it was for is tried again, each ask alone."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


def as_error(outcome: Any, need: Ask | Run | Await | None) -> Exception:
    """The exception that an outcome stands for; a `TypeError` for what does not meet the need."""
    if isinstance(outcome, LostCallError):
        outcome = outcome.cause
    if isinstance(outcome, Exception):
        return outcome
    given = f"a value of the type {type(outcome).__name__}"
    if isinstance(need, Run):
        return TypeError(f"the tool {need.name!r} gave {given}, not Observation or ToolError")
    return TypeError(f"a model gave {given}, not Reply")


def phase_of(need: Ask | Run | Await | None) -> str | None:
    """The phase of a model call or the name of a tool, for error records."""
    if isinstance(need, Run):
        return need.name
    return need.phase if isinstance(need, Ask) else None
