"""What a policy does, told while it does it: to a stream whose client would otherwise wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from speceyes_cli.core.agents import Await
from speceyes_cli.core.chat import Answer, Ask, Observation, Picture, Reply, Run
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.policies import finite, lets_on
from speceyes_cli.core.methods.thinking import split_thoughts, without_thought
from speceyes_cli.core.methods.words import ANSWER_PHASE
from speceyes_cli.serve.trace import draft_facts, tool_facts

AGENT_PHASE = "agent"


@dataclass(frozen=True, slots=True)
class Thought:
    """A further piece of what the large model thinks, or of a call that it writes."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """A further piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something was done: a JSON object that says what."""

    facts: Mapping[str, Any]
    more: Callable[[], Mapping[str, Any]] | None = None
    """Further facts that take time to make, for a thread that nobody waits for."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What another endpoint answered: a completion, or a chunk of its stream."""

    body: Mapping[str, Any]


Event = Thought | Said | Step | Chunk


class Live:
    """The events of one question, from any thread to one event loop."""

    def __init__(self, *, traces: bool = False) -> None:
        """`traces`: the client asked for every step as it is done, the accepted draft's too."""
        self._loop = asyncio.get_running_loop()
        self._events: deque[Event] = deque()
        self._changed = asyncio.Event()
        self.traces = traces
        self.opening = asyncio.Event()
        """The stream may begin: the large model speaks, or a step was done for whoever asked."""
        self.speaking = False
        """The large model has begun on the answer: no draft stands."""
        self.confidence: float | None = None
        """The draft's, where there was one."""
        self.said = ""
        """What of the answer was taken."""

    def tell(self, event: Event) -> None:
        """From any thread."""
        self._soon(self._append, event)

    def speak(self) -> None:
        """The large model begins. From any thread."""
        self._soon(self._begin, None)

    def take(self) -> list[Event]:
        """What has been told since the last time."""
        taken = list(self._events)
        self._events.clear()
        self._changed.clear()
        self.said += "".join(event.text for event in taken if isinstance(event, Said))
        return taken

    async def changed(self) -> None:
        """Wait until there is something to take."""
        await self._changed.wait()

    def _append(self, event: Event) -> None:
        self._events.append(event)
        if self.traces:
            self.opening.set()

    def _begin(self, _: None) -> None:
        self.speaking = True
        self.opening.set()

    def _soon(self, call: Callable[[Any], object], value: Any) -> None:
        def told() -> None:
            call(value)
            self._changed.set()

        with contextlib.suppress(RuntimeError):  # the server has stopped
            self._loop.call_soon_threadsafe(told)


def watched(
    policy: Generator[Any, Any, Any], live: Live, gate: Gate, pictures: Sequence[Picture] = ()
) -> Generator[Any, Any, Any]:
    """The policy, each of its steps told; what runs beside it is not.

    `pictures` are the conversation's, in its order.
    """
    turn: _Turn | None = None
    turns = 0
    sent: Any = None
    try:
        while True:
            try:
                need = policy.send(sent)
            except StopIteration as end:
                if turn is not None:
                    turn.end(end.value)
                return end.value
            if isinstance(need, Ask) and need.phase in (AGENT_PHASE, ANSWER_PHASE):
                if turn is not None:
                    turn.end(None)
                turns += 1
                live.speak()
                if live.traces:
                    live.tell(Step({"step": "turn", "turn": turns}))
                turn = _Turn(live.tell, answers=need.phase == ANSWER_PHASE)
                need = replace(need, watch=turn.grow)
            sent = yield need
            _note(need, sent, live, gate, pictures)
            if turn is not None and isinstance(need, Ask) and need.watch is not None:
                turn.grow(sent.text)
    finally:
        policy.close()


def _note(need: Any, sent: Any, live: Live, gate: Gate, pictures: Sequence[Picture]) -> None:
    """Tell what a need came to."""
    if isinstance(need, Run):
        _note_tool(need, sent, live, pictures)
    elif isinstance(sent, Reply) and isinstance(need, Ask):
        if need.phase == "screen":
            _note_screen(need, sent, live)
        elif need.gate is not None:
            _note_draft(without_thought(sent, scored_after=need.scored_after), live, gate)
    elif isinstance(sent, Reply) and isinstance(need, Await) and live.traces:
        _note_draft(sent, live, gate)  # of a race, whose agent may be at work already


def _note_screen(ask: Ask, reply: Reply, live: Live) -> None:
    facts: dict[str, Any] = {"step": "screen", "passed": lets_on(ask, reply.text)}
    if live.traces:
        facts["text"] = reply.text.strip()
    live.tell(Step(facts))


def _note_draft(reply: Reply, live: Live, gate: Gate) -> None:
    live.confidence = finite(gate.confidence(reply))
    facts = {
        "step": "draft",
        "text": reply.text.strip(),
        "confidence": live.confidence,
        "accepted": gate.accepts(reply),
    }
    live.tell(Step({**facts, **draft_facts(reply, gate)} if live.traces else facts))


def _note_tool(run: Run, outcome: Any, live: Live, pictures: Sequence[Picture]) -> None:
    fine = isinstance(outcome, Observation)
    shown = [part.name for part in outcome.content if isinstance(part, Picture)] if fine else []
    facts = {
        "step": "tool",
        "tool": run.name,
        "outcome": "ok" if fine else outcome.kind,
        "pictures": shown,
    }
    if live.traces:
        live.tell(Step(facts, partial(tool_facts, run, outcome, pictures)))
        return
    live.tell(Step(facts))
    live.tell(Thought(f"\n[{run.name}: {', '.join(shown) or facts['outcome']}]\n"))


class _Turn:
    """One reply as it grows.

    Thoughts and calls are told at once. Other words may be the answer, which the agent finds in the
    whole reply: they wait for its end, unless nothing but the answer is written.
    """

    def __init__(self, tell: Callable[[Event], None], *, answers: bool) -> None:
        self._tell = tell
        self._answers = answers
        self._text = ""
        self._thought = 0
        self._said = 0

    def grow(self, text: str) -> None:
        """The reply so far."""
        self._text = text
        thoughts, rest = split_thoughts(text)
        if len(thoughts) > self._thought:
            self._tell(Thought(thoughts[self._thought :]))
            self._thought = len(thoughts)
        said = rest.strip().removesuffix("\ufffd") if self._answers else ""
        if len(said) > self._said:
            self._tell(Said(said[self._said :]))
            self._said = len(said)

    def end(self, answer: Answer | None) -> None:
        """The turn has ended, with the answer or without."""
        if answer is None and not self._answers:
            rest = split_thoughts(self._text, whole=True)[1].strip()
            if rest:
                self._tell(Thought(rest))
