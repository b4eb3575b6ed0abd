from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.agents import Policy
from speceyes_cli.core.chat import (
    Answer,
    Ask,
    Message,
    Observation,
    Reply,
    Role,
    Run,
    ToolError,
)
from speceyes_cli.core.errors import CancelledSampleError, ServerLostError, WorkerDiedError
from speceyes_cli.core.scheduling.scheduler import MAX_STEPS, Scheduler
from speceyes_cli.core.scheduling.trajectories import Asked, Finished, Ran, Task
from speceyes_cli.core.scheduling.workers import InlineWorkers, ThreadWorkers


class Echo:
    """Replies with what it was asked, and remembers its calls."""

    def __init__(
        self,
        max_batch: int = 4,
        workers: int = 1,
        group: str = "one",
        behave: Callable[[Sequence[Ask]], None] = lambda _asks: None,
    ) -> None:
        self.max_batch, self.workers, self.group = max_batch, workers, group
        self.behave = behave
        self.batches: list[list[Ask]] = []
        self.forgotten: list[str] = []
        self.threads: set[str] = set()

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        self.batches.append(list(asks))
        self.threads.add(threading.current_thread().name)
        self.behave(asks)
        return [Reply(f"{ask.trajectory}:{text_of(ask)}", 1, "stop") for ask in asks]

    def forget(self, trajectory: str) -> None:
        self.forgotten.append(trajectory)

    def describe(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


def text_of(ask: Ask) -> str:
    return str(ask.messages[0].content[0])


def ask(text: str, role: Role = "large", phase: str = "agent") -> Ask:
    return Ask(role, (Message("user", (text,)),), max_new_tokens=8, phase=phase)


def asks(*needs: Ask | Run) -> Policy:
    """A policy that wants these in turn, and answers with everything it got."""
    got = []
    for need in needs:
        outcome = yield need
        got.append(outcome.text if isinstance(outcome, Reply | ToolError) else outcome.content[0])
    return Answer(" ".join(map(str, got)), "large")


def tasks(count: int, make: Callable[[int], Policy]) -> list[Task]:
    def start(number: int) -> Callable[[], Policy]:
        return lambda: make(number)

    return [Task(f"t{number}", start(number)) for number in range(count)]


def run_all(
    engines: dict[Role, Any], work: list[Task], *, inline: bool = True, window: int | None = None
) -> dict[str, Finished]:
    make_workers = InlineWorkers if inline else ThreadWorkers
    ended = list(Scheduler(engines, window, make_workers).run(work))
    assert len({finished.key for finished in ended}) == len(ended)
    return {finished.key: finished for finished in ended}


def answer(finished: Finished) -> str:
    assert finished.error is None, finished.error
    assert finished.answer is not None
    return finished.answer.text


def fast_tool(value: str) -> Observation:
    return Observation((value,))


@pytest.mark.parametrize("inline", [True, False])
def test_every_reply_reaches_its_own_trajectory(inline: bool) -> None:
    engine = Echo()
    work = tasks(20, lambda n: asks(ask(f"a{n}"), Run(fast_tool, {"value": f"v{n}"}), ask(f"b{n}")))
    ended = run_all({"large": engine}, work, inline=inline)
    assert {key: answer(finished) for key, finished in ended.items()} == {
        f"t{n}": f"t{n}:a{n} v{n} t{n}:b{n}" for n in range(20)
    }


def test_batches_are_as_large_as_fits() -> None:
    engine = Echo(max_batch=4)
    run_all({"large": engine}, tasks(16, lambda n: asks(ask(str(n)))), window=8)
    assert [len(batch) for batch in engine.batches] == [4, 4, 4, 4]


@pytest.mark.parametrize(("count", "mixed"), [(16, False), (12, True)])
def test_a_batch_holds_one_phase_and_one_turn_where_that_fills_it(count: int, mixed: bool) -> None:
    engine = Echo(max_batch=8)

    def policy(number: int) -> Policy:
        turns = [ask(f"turn {turn}") for turn in range(1 + number % 2)]
        return asks(*turns, ask("judged", phase="judge"))

    run_all({"large": engine}, tasks(count, policy), window=count)
    phases = [{item.phase for item in batch} for batch in engine.batches]
    assert all(len(found) == 1 for found in phases)
    turns = [{text_of(item) for item in batch} for batch in engine.batches]
    assert any(len(found) > 1 for found in turns) == mixed


def test_nobody_waits_for_ever_in_a_stream_that_does_not_end() -> None:
    engine = Echo(max_batch=4)

    def source() -> Iterator[Task]:
        yield Task("rare", lambda: asks(ask("x", phase="rare")))
        for number in itertools.count():
            yield Task(f"t{number}", lambda: asks(ask("x", phase="common")))

    with closing(Scheduler({"large": engine}, 8, InlineWorkers).run(source())) as ended:
        assert any(finished.key == "rare" for finished in itertools.islice(ended, 200))


def test_the_fullest_batch_goes_first() -> None:
    engine = Echo(max_batch=8)

    def policy(number: int) -> Policy:
        return asks(ask("x", phase="rare" if number == 0 else "common"))

    run_all({"large": engine}, tasks(6, policy), window=6)
    assert [batch[0].phase for batch in engine.batches] == ["common", "rare"]


def test_a_scripted_engine_makes_it_deterministic() -> None:
    def once() -> list[list[tuple[str, str]]]:
        engine = Echo(max_batch=3)
        run_all(
            {"large": engine, "small": engine},
            tasks(
                17,
                lambda n: asks(*[ask(str(i), "small" if i % 2 else "large") for i in range(n % 5)]),
            ),
        )
        return [[(item.trajectory, text_of(item)) for item in batch] for batch in engine.batches]

    assert once() == once()


def test_the_window_bounds_what_is_alive() -> None:
    alive, most = 0, 0

    def policy() -> Policy:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        yield ask("x")
        alive -= 1
        return Answer("", "large")

    drawn: list[int] = []

    def source() -> Iterator[Task]:
        for number in range(50):
            drawn.append(number)
            yield Task(f"t{number}", policy)

    engine = Echo(max_batch=2)
    with closing(Scheduler({"large": engine}, 5, InlineWorkers).run(source())) as ended:
        next(ended)
        assert len(drawn) <= 6
        assert len(list(ended)) == 49
    assert most == 5


def test_policies_that_end_at_once_do_not_pile_up() -> None:
    drawn = itertools.count()

    def source() -> Iterator[Task]:
        for number in drawn:
            yield Task(f"t{number}", asks)

    with closing(Scheduler({"large": Echo()}, 4, InlineWorkers).run(source())) as ended:
        assert [next(ended).key for _ in range(6)] == [f"t{n}" for n in range(6)]
    assert next(drawn) < 20


def test_two_engines_of_their_own_run_side_by_side() -> None:
    meet = threading.Barrier(2, timeout=10)
    small = Echo(group="a", behave=lambda _: meet.wait() and None)
    large = Echo(group="b", behave=lambda _: meet.wait() and None)
    work = tasks(2, lambda n: asks(ask("x", "small" if n else "large")))
    ended = run_all({"small": small, "large": large}, work, inline=False)
    assert all(finished.error is None for finished in ended.values())
    assert small.threads.isdisjoint(large.threads)


def test_engines_of_one_group_never_compute_at_once() -> None:
    busy = threading.Lock()

    def alone(_: Sequence[Ask]) -> None:
        assert busy.acquire(blocking=False), "two calls at once"
        time.sleep(0.001)
        busy.release()

    small, large = Echo(behave=alone), Echo(behave=alone)
    work = tasks(12, lambda n: asks(ask("x", "small" if n % 2 else "large"), ask("y")))
    ended = run_all({"small": small, "large": large}, work, inline=False)
    assert all(finished.error is None for finished in ended.values())
    assert small.threads == large.threads
    assert len(small.threads) == 1


def test_an_engine_is_told_what_comes_next_while_it_computes() -> None:
    told = threading.Event()
    prepared: list[str] = []

    class Ahead(Echo):
        def prepare(self, asks: Sequence[Ask]) -> None:
            prepared.extend(text_of(ask) for ask in asks)
            told.set()

    engine = Ahead(max_batch=2, behave=lambda _: told.wait(10) and None)
    run_all({"large": engine}, tasks(4, lambda n: asks(ask(f"x{n}"))), inline=False)
    assert told.is_set()
    assert set(prepared) == {"x2", "x3"}


def test_a_remote_engine_takes_as_many_calls_as_it_has_workers() -> None:
    meet = threading.Barrier(3, timeout=10)
    engine = Echo(max_batch=1, workers=3, behave=lambda _: meet.wait() and None)
    ended = run_all({"large": engine}, tasks(6, lambda _: asks(ask("x"))), inline=False)
    assert all(finished.error is None for finished in ended.values())
    assert len(engine.batches) == 6


def test_tools_leave_the_model_free() -> None:
    engine = Echo(max_batch=1)
    others_are_done = threading.Event()

    def slow_tool() -> Observation:
        assert threading.current_thread() is not threading.main_thread()
        assert others_are_done.wait(10), "the model waited for the tool"
        return Observation(("late",))

    def policy(number: int) -> Policy:
        return asks(Run(slow_tool, {}, timeout=20)) if number == 0 else asks(ask("x"), ask("y"))

    keys = []
    scheduler = Scheduler({"large": engine})
    for finished in scheduler.run(tasks(4, policy)):
        keys.append(finished.key)
        if len(keys) == 3:
            others_are_done.set()
    assert keys[-1] == "t0"


def test_a_late_tool_is_given_up_and_its_late_word_ignored() -> None:
    release = threading.Event()

    def hangs() -> Observation:
        release.wait(10)
        return Observation(("too late",))

    def policy(number: int) -> Policy:
        if number < 6:  # more than there are tool workers
            return asks(Run(hangs, {}, timeout=0.05), ask("on"))
        return asks(Run(fast_tool, {"value": "fast"}), ask("on"))

    ended = []
    for finished in Scheduler({"large": Echo()}).run(tasks(8, policy)):
        ended.append(finished)
        release.set()
    texts = {finished.key: answer(finished) for finished in ended}
    assert len(texts) == 8
    late = [text for text in texts.values() if "did not finish within 0.05 seconds" in text]
    assert late
    assert texts["t7"] == "fast t7:on"


@pytest.mark.parametrize("inline", [True, False])
def test_a_tool_that_raises_is_told_to_the_model(inline: bool) -> None:
    def broken() -> Observation:
        raise ValueError("no such box")

    ended = run_all({"large": Echo()}, tasks(1, lambda _: asks(Run(broken, {}))), inline=inline)
    [event] = ended["t0"].events
    assert isinstance(event, Ran)
    assert event.outcome == ToolError("tool_failed", "ValueError: no such box")
    assert answer(ended["t0"]) == "ValueError: no such box"


def test_a_tool_that_gives_nonsense_fails_its_sample_only() -> None:
    def policy(number: int) -> Policy:
        return asks(Run(lambda: 7 if number == 1 else Observation(("ok",)), {}, name="odd"))

    ended = run_all({"large": Echo()}, tasks(3, policy))
    assert isinstance(ended["t1"].error, TypeError)
    assert ended["t1"].failed_in == "odd"
    assert answer(ended["t0"]) == answer(ended["t2"]) == "ok"


def test_an_ask_that_fails_costs_its_sample_only() -> None:
    class Picky(Echo):
        def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
            replies = super().generate(asks)
            return [
                ValueError("bad picture") if item.trajectory == "t2" else reply
                for item, reply in zip(asks, replies, strict=True)
            ]

    engine = Picky()
    ended = run_all({"large": engine}, tasks(6, lambda n: asks(ask(str(n)))))
    assert str(ended["t2"].error) == "bad picture"
    assert ended["t2"].answer is None
    assert ended["t2"].failed_in == "agent"
    assert sum(finished.error is None for finished in ended.values()) == 5
    assert sum(len(batch) for batch in engine.batches) == 6


@pytest.mark.parametrize("inline", [True, False])
def test_a_call_that_raises_is_tried_again_ask_by_ask(inline: bool) -> None:
    def crash(batch: Sequence[Ask]) -> None:
        if any(item.trajectory == "t2" for item in batch):
            raise MemoryError("out of memory")

    engine = Echo(max_batch=4, behave=crash)
    ended = run_all({"large": engine}, tasks(4, lambda n: asks(ask(str(n)))), inline=inline)
    assert isinstance(ended["t2"].error, MemoryError)
    assert sorted(key for key, finished in ended.items() if finished.error is None) == [
        "t0",
        "t1",
        "t3",
    ]
    calls = [[item.trajectory for item in batch] for batch in engine.batches]
    assert sum("t2" in call for call in calls) == 2
    assert ["t2"] in calls


def test_too_few_replies_are_a_lost_call() -> None:
    class Short(Echo):
        def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
            return super().generate(asks)[1:]

    ended = run_all({"large": Short()}, tasks(2, lambda n: asks(ask(str(n)))))
    assert "0 replies to 1 asks" in str(ended["t0"].error)


def test_a_worker_that_dies_once_is_forgiven_and_twice_is_not() -> None:
    deaths: dict[str, int] = {}

    def policy(number: int) -> Policy:
        def dies() -> Observation:
            deaths[f"t{number}"] = deaths.get(f"t{number}", 0) + 1
            if deaths[f"t{number}"] <= number:
                raise WorkerDiedError(f"killed {number}")
            return Observation(("alive",))

        return asks(Run(dies, {}, name="sandbox"), Run(dies, {}, name="sandbox"))

    ended = run_all({"large": Echo()}, tasks(3, policy))
    assert answer(ended["t0"]) == answer(ended["t1"]) == "alive alive"
    assert isinstance(ended["t2"].error, WorkerDiedError)
    assert deaths == {"t0": 2, "t1": 3, "t2": 2}


def test_a_worker_of_an_engine_that_dies_is_tried_once_more() -> None:
    class Dying(Echo):
        def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
            replies = list(super().generate(asks))
            return [WorkerDiedError("gone"), *replies[1:]] if len(self.batches) == 1 else replies

    engine = Dying()
    ended = run_all({"large": engine}, tasks(3, lambda n: asks(ask(str(n)))))
    assert all(finished.error is None for finished in ended.values())
    assert [len(batch) for batch in engine.batches] == [3, 1]


def test_a_policy_may_fail_end_oddly_or_never_end() -> None:
    def raises() -> Policy:
        raise KeyError("prompt")
        yield

    def endless() -> Policy:
        while True:
            yield ask("again")

    def odd_need() -> Generator[Any, Any, Answer]:
        yield "please"
        return Answer("", "large")

    def odd_end() -> Generator[Any, Any, Any]:
        yield ask("x")
        return "an answer"

    def no_such_role() -> Policy:
        return asks(ask("x", "small"))

    makers = [raises, endless, odd_need, odd_end, no_such_role, lambda: asks(ask("fine"))]
    engine = Echo()
    ended = run_all({"large": engine}, tasks(len(makers), lambda n: makers[n]()))
    assert isinstance(ended["t0"].error, KeyError)
    assert str(MAX_STEPS) in str(ended["t1"].error)
    assert len(ended["t1"].events) == MAX_STEPS
    assert "nobody can serve str" in str(ended["t2"].error)
    assert "not an Answer" in str(ended["t3"].error)
    assert "nobody can serve Ask" in str(ended["t4"].error)
    assert answer(ended["t5"]) == "t5:fine"


@pytest.mark.parametrize("inline", [True, False])
def test_engines_forget_each_trajectory_once_and_last(inline: bool) -> None:
    log: list[tuple[str, str]] = []

    class Logging(Echo):
        def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
            log.extend(("ask", item.trajectory) for item in asks)
            return super().generate(asks)

        def forget(self, trajectory: str) -> None:
            log.append(("forget", trajectory))

    engine = Logging()
    work = tasks(9, lambda n: asks(*[ask(str(i)) for i in range(n % 3)]))
    run_all({"large": engine, "small": engine}, work, inline=inline)
    for key in (task.key for task in work):
        events = [what for what, whose in log if whose == key]
        assert events.count("forget") == 1
        assert events[-1] == "forget"


def test_an_engine_that_cannot_forget_is_no_disaster(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(Echo):
        def forget(self, trajectory: str) -> None:
            raise RuntimeError(f"not {trajectory}")

    ended = run_all({"large": Stubborn()}, tasks(2, lambda _: asks(ask("x"))))
    assert all(finished.error is None for finished in ended.values())
    assert "could not forget t0" in caplog.text


def test_events_tell_what_was_asked_and_run() -> None:
    policy = lambda _: asks(ask("x"), Run(fast_tool, {"value": "v"}, name="tool"))  # noqa: E731
    ended = run_all({"large": Echo()}, tasks(1, policy))
    asked, ran = ended["t0"].events
    assert isinstance(asked, Asked)
    assert asked.ask.trajectory == "t0"
    assert isinstance(ran, Ran)
    assert ran.run.name == "tool"
    assert ended["t0"].elapsed >= 0


def test_stopping_early_closes_policies_and_asks_no_more() -> None:
    closed: list[int] = []

    def policy(number: int) -> Policy:
        try:
            for _ in range(100):
                yield ask("x")
        finally:
            closed.append(number)
        return Answer("", "large")

    engine = Echo(max_batch=1)
    work = [Task("quick", lambda: asks(ask("x"))), *tasks(3, policy)]
    ended = Scheduler({"large": engine}, 4).run(work)
    assert next(ended).key == "quick"
    ended.close()
    calls = len(engine.batches)
    assert sorted(closed) == [0, 1, 2]
    time.sleep(0.02)
    assert len(engine.batches) == calls


def test_what_drawing_a_task_raises_comes_through() -> None:
    def source() -> Iterator[Task]:
        yield from tasks(1, lambda _: asks(ask("x")))
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        list(Scheduler({"large": Echo()}, make_workers=InlineWorkers).run(source()))


def test_two_trajectories_of_one_name_are_refused() -> None:
    work = tasks(1, lambda _: asks(ask("x"))) * 2
    with pytest.raises(ValueError, match="two live trajectories"):
        list(Scheduler({"large": Echo()}, make_workers=InlineWorkers).run(work))


steps = st.lists(st.sampled_from(["small", "large", "tool", "bad tool"]), max_size=5)


@given(
    st.lists(steps, max_size=12),
    st.integers(1, 5),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
)
def test_any_mixture_of_policies_ends_with_every_outcome_in_place(
    scripts: list[list[str]], max_batch: int, window: int, together: bool, inline: bool
) -> None:
    def bad_tool() -> Observation:
        raise ValueError("bad")

    def need(kind: str, text: str) -> Ask | Run:
        if kind == "tool":
            return Run(fast_tool, {"value": text})
        if kind == "bad tool":
            return Run(bad_tool, {})
        return ask(text, "small" if kind == "small" else "large", phase=kind)

    def expected(kind: str, key: str, text: str) -> str:
        return {"tool": text, "bad tool": "ValueError: bad"}.get(kind, f"{key}:{text}")

    small = Echo(max_batch, group="a")
    large = Echo(max_batch, group="a" if together else "b")
    work = tasks(
        len(scripts),
        lambda n: asks(*[need(kind, f"{n}.{i}") for i, kind in enumerate(scripts[n])]),
    )
    ended = run_all({"small": small, "large": large}, work, inline=inline, window=window)
    assert {key: answer(finished) for key, finished in ended.items()} == {
        f"t{n}": " ".join(expected(kind, f"t{n}", f"{n}.{i}") for i, kind in enumerate(script))
        for n, script in enumerate(scripts)
    }
    assert all(len(batch) <= max_batch for batch in small.batches + large.batches)


class Reaching:
    """Counts the trajectories between their first ask of a phase and their end."""

    def __init__(self) -> None:
        self.inside: set[str] = set()
        self.most = 0
        self.batches: dict[str, list[int]] = {}

    def __call__(self, batch: Sequence[Ask]) -> None:
        self.batches.setdefault(batch[0].phase, []).append(len(batch))
        if batch[0].phase == "agent":
            self.inside |= {ask.trajectory for ask in batch}
            self.most = max(self.most, len(self.inside))
            self.inside -= {ask.trajectory for ask in batch if text_of(ask) == "last"}


def looping(number: int) -> Policy:
    del number
    return asks(ask("s", phase="screen"), ask("first"), ask("last"))


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_limited_phase_holds_no_more_trajectories_and_the_others_stay_full(limit: int) -> None:
    reaching = Reaching()
    scheduler = Scheduler(
        {"large": Echo(4, behave=reaching)}, 8, InlineWorkers, limits={"agent": limit}
    )
    ended = list(scheduler.run(tasks(16, looping)))
    assert len(ended) == 16
    assert all(finished.answer for finished in ended)
    assert reaching.most <= limit
    assert reaching.batches["screen"] == [4, 4, 4, 4]
    assert max(reaching.batches["agent"]) == min(limit, 4)


def test_the_observer_is_told_each_need_and_then_what_came_of_it() -> None:
    told: list[tuple[str, Any]] = []
    run = Run(lambda: Observation(("seen",)), {}, name="look")
    scheduler = Scheduler(
        {"large": Echo()},
        make_workers=InlineWorkers,
        observe=lambda key, event: told.append((key, event)),
    )
    [ended] = scheduler.run(tasks(1, lambda _: asks(ask("a"), run)))
    assert [type(event) for _, event in told] == [Ask, Asked, Run, Ran]
    assert {key for key, _ in told} == {ended.key}
    assert tuple(event for _, event in told[1::2]) == ended.events


class OpenSource:
    """A source that stays open: tasks come from other threads until it is closed."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue[Task | None] = SimpleQueue()
        self.asked = threading.Semaphore(0)

    def __iter__(self) -> Iterator[Task | None]:
        while True:
            self.asked.release()
            if self.tasks.empty():
                yield None
            elif (task := self.tasks.get()) is None:
                return
            else:
                yield task


def test_an_open_source_is_waited_for_and_asked_again_when_woken() -> None:
    source, ended = OpenSource(), SimpleQueue[Finished]()
    scheduler = Scheduler({"large": Echo()})
    thread = threading.Thread(target=lambda: [*map(ended.put, scheduler.run(source))])
    thread.start()
    for number in range(3):
        assert source.asked.acquire(timeout=10)
        source.tasks.put(Task(f"t{number}", lambda: asks(ask("x"))))
        scheduler.wake()
        assert ended.get(timeout=10).key == f"t{number}"
    source.tasks.put(None)
    scheduler.wake()
    thread.join(10)
    assert not thread.is_alive()
    assert ended.empty()


def test_a_cancelled_trajectory_ends_after_the_call_it_is_in() -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(_: Sequence[Ask]) -> None:
        began.set()
        assert go_on.wait(10)

    engine = Echo(max_batch=1, behave=slow)
    scheduler = Scheduler({"large": engine})
    ended: list[Finished] = []
    work = tasks(3, lambda n: asks(ask(f"{n} first"), ask(f"{n} second")))
    thread = threading.Thread(target=lambda: ended.extend(scheduler.run(work)))
    thread.start()
    assert began.wait(10)
    for key in ("t0", "t1", "nobody"):  # one at work, one waiting, one unknown
        scheduler.cancel(key)
    go_on.set()
    thread.join(10)
    by_key = {finished.key: finished for finished in ended}
    assert isinstance(by_key["t0"].error, CancelledSampleError)
    assert isinstance(by_key["t1"].error, CancelledSampleError)
    assert by_key["t1"].events == ()
    assert answer(by_key["t2"]) == "t2:2 first t2:2 second"
    asked = [text_of(item) for batch in engine.batches for item in batch]
    assert asked == ["0 first", "2 first", "2 second"]
    assert sorted(engine.forgotten) == ["t0", "t1", "t2"]


@pytest.mark.parametrize(("max_batch", "asked"), [(1, 2), (2, 2), (3, 1)])
def test_a_full_batch_does_not_wait_for_the_caller(max_batch: int, asked: int) -> None:
    engine = Echo(max_batch)
    work = tasks(2 * max_batch if asked == 2 else 5, lambda n: asks(ask(str(n))))
    ended = Scheduler({"large": engine}, len(work), InlineWorkers).run(work)
    next(ended)
    assert len(engine.batches) == asked
    ended.close()


def test_a_server_that_is_gone_ends_a_run_and_only_a_question_of_what_serves_on() -> None:
    def be_gone(asked: Sequence[Ask]) -> None:
        if text_of(asked[0]) == "lost":
            raise ServerLostError("gone")

    def tasks() -> Iterator[Task]:
        for name in ("lost", "kept"):
            yield Task(name, lambda name=name: asks(ask(name)))

    def engines() -> dict[Role, Any]:
        return {"large": Echo(max_batch=1, behave=be_gone)}

    with pytest.raises(ServerLostError):
        list(Scheduler(engines()).run(tasks()))
    ended = {one.key: one for one in Scheduler(engines(), outlives_servers=True).run(tasks())}
    assert isinstance(ended["lost"].error, ServerLostError)
    assert ended["kept"].answer is not None
