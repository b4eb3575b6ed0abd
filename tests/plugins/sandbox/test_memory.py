"""Memory of all sessions together stays within its budget, with real workers."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.sandbox import Sandbox, SandboxLimits, Session
from speceyes_plugins.sandbox.parent.memory import MemoryBudget, private_bytes

MEBIBYTE = 1 << 20
HOLD = "x = b'x' * (60 << 20)\nprint(len(x))"
LIMITS = SandboxLimits(
    seconds=5.0,
    memory=200 * MEBIBYTE,
    decoder_memory=100 * MEBIBYTE,
    total_memory=460 * MEBIBYTE,  # one block, and 160 MiB that two sessions of 60 fit in
)


@contextlib.contextmanager
def sessions(sandbox: Sandbox, count: int) -> Iterator[list[Session]]:
    with contextlib.ExitStack() as stack:
        picture = Image.new("RGB", (80, 80))
        yield [stack.enter_context(sandbox.open(picture)) for _ in range(count)]


def workers_hold(sandbox: Sandbox) -> int:
    """Bytes that all workers hold beyond what they were forked with."""
    zygote = sandbox._zygote.pid
    pids = Path(f"/proc/{zygote}/task/{zygote}/children").read_text(encoding="ascii").split()
    return sum(private_bytes(int(pid)) - private_bytes(zygote) for pid in pids)


def test_stopped_workers_together_stay_within_the_budget() -> None:
    with Sandbox(limits=LIMITS) as sandbox, sessions(sandbox, 5) as opened:
        for session in opened:
            assert session.run(HOLD).ok
            assert workers_hold(sandbox) < 220 * MEBIBYTE  # two that stayed, and the one that ran
        kept = [session._worker is not None for session in opened]
        assert kept == [False, False, True, True, True]  # those used last


def test_without_a_budget_they_would_not() -> None:
    wide = SandboxLimits(memory=200 * MEBIBYTE, total_memory=1 << 40)
    with Sandbox(limits=wide) as sandbox, sessions(sandbox, 5) as opened:
        for session in opened:
            session.run(HOLD)
        assert workers_hold(sandbox) > 290 * MEBIBYTE


def test_lost_variables_are_told() -> None:
    with Sandbox(limits=LIMITS) as sandbox, sessions(sandbox, 4) as opened:
        for session in opened:
            session.run(HOLD)
        still = opened[3].run("print(len(x))")
        assert (still.stdout, still.repairs) == ("62914560\n", ())
        gone = opened[0].run("print(len(x))")
        assert gone.error is not None
        assert "NameError" in gone.error.text
        assert gone.error.text.endswith("Variables of earlier blocks are lost.")
        assert gone.repairs[0].startswith("variables of earlier blocks were lost")
        needs_none = opened[1].run("print(1)")
        assert needs_none.ok
        assert len(needs_none.repairs) == 1
        again = opened[1].run("print(2)")
        assert again.repairs == ()  # said once


def test_the_session_used_last_is_put_away_last() -> None:
    with Sandbox(limits=LIMITS) as sandbox, sessions(sandbox, 4) as opened:
        for session in opened[:3]:
            session.run(HOLD)
        opened[0].run("print(1)")
        opened[3].run(HOLD)
        assert [session._worker is not None for session in opened] == [True, False, True, True]


def test_what_was_closed_counts_no_longer() -> None:
    with Sandbox(limits=LIMITS) as sandbox:
        for _ in range(4):
            with sessions(sandbox, 2) as opened:
                for session in opened:
                    session.run(HOLD)
                assert all(session._worker is not None for session in opened)


def test_a_block_waits_while_there_is_no_room() -> None:
    code = "import time\nbegan = time.monotonic()\ntime.sleep(0.2)\nprint(began, time.monotonic())"
    with Sandbox(limits=LIMITS) as sandbox, sessions(sandbox, 4) as opened:
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda session: session.run(code), opened))
    spans = sorted(tuple(map(float, result.stdout.split())) for result in results)
    assert all(one[1] <= later[0] for one, later in itertools.pairwise(spans))


def test_a_block_that_alone_is_too_large_runs_alone() -> None:
    limits = SandboxLimits(total_memory=0)
    with Sandbox(limits=limits) as sandbox, sessions(sandbox, 2) as opened:
        assert [session.run("print(1)").stdout for session in opened] == ["1\n", "1\n"]


class Held:
    """A session that holds what it is told to."""

    def __init__(self) -> None:
        self.bytes = 0

    def held(self) -> int:
        return self.bytes

    def put_away(self) -> None:
        self.bytes = 0


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10)), max_size=40),
)
def test_any_blocks_stay_within_the_budget(total: int, blocks: list[tuple[int, int]]) -> None:
    budget = MemoryBudget(total, block=10)
    held = [Held() for _ in range(5)]
    for number, grows_to in blocks:
        with budget.block(held[number]):
            others = sum(one.bytes for one in held if one is not held[number])
            assert others + 10 <= max(total, 10)
            held[number].bytes = grows_to


@pytest.mark.parametrize("total", [10, 25, 100])
def test_blocks_of_many_threads_stay_within_the_budget_and_all_run(total: int) -> None:
    budget = MemoryBudget(total, block=10)
    lock, running, most = threading.Lock(), 0, 0

    def work(number: int) -> None:
        nonlocal running, most
        session = Held()
        budget.add(session)
        for _ in range(20):
            with budget.block(session):
                with lock:
                    running += 1
                    most = max(most, running)
                time.sleep(0.0005)
                session.bytes = number
                with lock:
                    running -= 1
        budget.remove(session)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert 1 <= most <= total // 10
