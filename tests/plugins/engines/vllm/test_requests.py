"""Requests that join a running batch, on an engine that writes one word a step."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from speceyes_plugins.engines.vllm.requests import EngineDiedError, Request, StepThread
from speceyes_plugins.engines.vllm.slots import StepScores


class Engine:
    """What the thread asks of vLLM; a request ends after as many steps as its prompt says."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.added: list[int] = []
        self.stepping = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.broken = False

    def add_request(self, name: str, prompt: int, _parameters: Any) -> None:
        self.left[name] = prompt
        self.added.append(prompt)

    def step(self) -> list[Any]:
        self.stepping.set()
        assert self.go_on.wait(20)
        if self.broken:
            raise RuntimeError("device-side assert")
        told = []
        for name in tuple(self.left):
            self.left[name] -= 1
            told.append(SimpleNamespace(request_id=name, finished=not self.left[name]))
            if not self.left[name]:
                del self.left[name]
        return told

    def abort_request(self, names: Sequence[str]) -> None:
        for name in names:
            del self.left[name]


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def thread(engine: Engine) -> Iterator[StepThread]:
    started = StepThread(engine, StepScores())
    yield started
    engine.go_on.set()
    started.close()


def test_a_request_that_is_dropped_before_it_has_joined_never_runs(
    engine: Engine, thread: StepThread
) -> None:
    """A client may leave while a step is under way, in which nothing can join."""
    engine.go_on.clear()
    first, gone, last = (Request(steps, None, None) for steps in (2, 500, 1))
    thread.begin(first)
    assert engine.stepping.wait(20)
    thread.begin(gone)
    thread.drop(gone)
    engine.go_on.set()
    assert thread.answer(last).output.finished
    assert first.done.wait(20)
    assert gone.done.wait(20)
    assert engine.added == [2, 1]


def test_a_request_that_is_dropped_leaves_the_batch(engine: Engine, thread: StepThread) -> None:
    long = Request(10**9, None, None)
    thread.begin(long)
    assert engine.stepping.wait(20)
    thread.drop(long)
    assert long.done.wait(20)
    assert not engine.left


def test_whoever_waits_is_told_when_it_has_stopped_working(
    engine: Engine, thread: StepThread
) -> None:
    engine.broken = True
    with pytest.raises(EngineDiedError, match="device-side assert"):
        thread.answer(Request(1, None, None))
    with pytest.raises(EngineDiedError, match="device-side assert"):
        thread.answer(Request(1, None, None))
