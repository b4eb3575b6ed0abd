from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from PIL import Image

from speceyes_cli.core.agents import AgentState, Await, Begin, Drop
from speceyes_cli.core.chat import Answer, Ask, Message, Observation, Picture, Reply, Role, Run
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.core.gate.token import TokenScore
from speceyes_cli.core.methods.policies import speceyes
from speceyes_cli.core.methods.race import race
from speceyes_cli.core.run.record_builder import build_record
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.scheduling.scheduler import Scheduler
from speceyes_cli.core.scheduling.trajectories import WASTED, Asked, Finished, Task
from speceyes_cli.core.scheduling.workers import InlineWorkers, ThreadWorkers

GATE = Gate("min", min_score)
SURE, UNSURE = TokenScore(12.0, -0.1, 5.0, 0.1), TokenScore(2.0, -0.9, 0.1, 2.0)
SAMPLE = Sample("s", "test", Picture("p", lambda: Image.new("RGB", (8, 8))), "What?")


class Agent:
    """Looks once with a tool, then answers."""

    max_turns, max_new_tokens, stop, continues_turn = 3, 99, (), False

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        return (Message("user", (sample.question,)),)

    open = screen

    def step(self, reply: Reply, state: AgentState) -> Any:
        if state.turn == 0:
            return (yield Run(lambda: Observation(("seen",)), {}))
        return Answer(reply.text, "large")


class Scripted:
    """Each phase has its reply; `behave` may wait or raise."""

    max_batch = workers = 1

    def __init__(
        self, group: str, replies: dict[str, Reply], behave: Callable[[Ask], None] = lambda _: None
    ) -> None:
        self.group, self.replies, self.behave = group, replies, behave
        self.asked: list[str] = []
        self.forgotten: list[str] = []

    def generate(self, asks: Sequence[Ask]) -> list[Reply | Exception]:
        self.asked += [ask.phase for ask in asks]
        for ask in asks:
            self.behave(ask)
        return [self.replies[ask.phase] for ask in asks]

    def forget(self, trajectory: str) -> None:
        self.forgotten.append(trajectory)

    def describe(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


def script(screen: str, score: TokenScore) -> dict[str, Reply]:
    return {
        "screen": Reply(screen, 1, "stop", seconds=0.5),
        "draft": Reply(" red ", 2, "stop", (score, score), seconds=0.25),
        "agent": Reply("blue", 4, "stop", seconds=1.0),
    }


def run(policy: Any, engines: dict[Role, Any], *, inline: bool = True) -> Finished:
    task = Task(SAMPLE.key, lambda: policy(SAMPLE, Agent(), GATE))
    workers = InlineWorkers if inline else ThreadWorkers
    [finished] = Scheduler(engines, None, workers).run([task])
    return finished


@pytest.mark.parametrize("screen", ["No.", "Yes."])
@pytest.mark.parametrize("score", [SURE, UNSURE, TokenScore(*[math.nan] * 4)])
@pytest.mark.parametrize("groups", ["aa", "ab"])
def test_it_answers_what_the_method_answers(screen: str, score: TokenScore, groups: str) -> None:
    def engines() -> dict[Role, Any]:
        replies = script(screen, score)
        return {"small": Scripted(groups[0], replies), "large": Scripted(groups[1], replies)}

    raced, plain = run(race, engines()), run(speceyes, engines())
    assert raced.error is None
    assert raced.answer == plain.answer

    def used(finished: Finished) -> list[str]:
        asked = [event for event in finished.events if isinstance(event, Asked)]
        return [event.ask.phase for event in asked if event.ask.phase != WASTED]

    assert sorted(used(raced)) == sorted(used(plain))


def test_draft_and_agent_run_side_by_side_and_the_loser_is_counted() -> None:
    meet, gone = threading.Barrier(2, timeout=10), threading.Event()

    def behave(ask: Ask) -> None:
        if ask.phase == "draft" or (ask.phase == "agent" and not gone.is_set()):
            gone.set() if ask.phase == "agent" else None
            meet.wait()

    replies = script("No.", SURE)
    small, large = Scripted("a", replies, behave), Scripted("b", replies, behave)
    finished = run(race, {"small": small, "large": large}, inline=False)
    assert finished.answer is not None
    assert (finished.answer.text, finished.answer.source) == ("red", "small")
    assert set(large.asked) == {"screen", "agent"}
    assert small.forgotten == large.forgotten == [SAMPLE.key]
    record = build_record(SAMPLE, 0, finished, GATE, None)
    assert record.phase_seconds[WASTED] > 0
    assert set(record.phase_seconds) <= {"screen", "draft", WASTED, "tool"}
    assert record.draft is not None
    assert record.draft.accepted


def test_on_one_device_a_draft_that_stands_wastes_nothing() -> None:
    replies = script("No.", SURE)
    small, large = Scripted("a", replies), Scripted("a", replies)
    finished = run(race, {"small": small, "large": large}, inline=False)
    assert small.asked + large.asked == ["draft", "screen"]
    assert not [e for e in finished.events if isinstance(e, Asked) and e.ask.phase == WASTED]


def test_an_error_of_what_is_not_wanted_is_no_error() -> None:
    def broken(ask: Ask) -> None:
        if ask.phase == "agent":
            raise ValueError("no agent today")

    replies = script("No.", SURE)
    engines = {"small": Scripted("a", replies), "large": Scripted("b", replies, broken)}
    assert run(race, engines).error is None
    replies = script("No.", UNSURE)
    engines = {"small": Scripted("a", replies), "large": Scripted("b", replies, broken)}
    finished = run(race, engines)
    assert isinstance(finished.error, ValueError)
    assert finished.failed_in == "agent"


def test_a_cancelled_race_ends_while_it_waits() -> None:
    scheduler: list[Scheduler] = []

    def cancel(ask: Ask) -> None:
        if ask.phase == "agent":
            scheduler[0].cancel(SAMPLE.key)

    replies = script("Yes.", UNSURE)
    engines = {"small": Scripted("a", replies), "large": Scripted("b", replies, cancel)}
    scheduler.append(Scheduler(engines, None, ThreadWorkers))
    task = Task(SAMPLE.key, lambda: race(SAMPLE, Agent(), GATE))
    [finished] = scheduler[0].run([task])
    assert finished.answer is None
    assert type(finished.error).__name__ == "CancelledSampleError"


@pytest.mark.parametrize("need", [Await, Drop])
def test_what_was_never_begun_cannot_be_had(need: Any) -> None:
    def policy(*_: Any) -> Any:
        begun = yield Begin(speceyes(SAMPLE, Agent(), GATE))
        yield Drop(begun)
        yield need(begun)
        return Answer("red", "small")

    replies = script("No.", SURE)
    engines = {"small": Scripted("a", replies), "large": Scripted("a", replies)}
    assert isinstance(run(policy, engines).error, TypeError)
