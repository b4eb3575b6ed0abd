"""Threads that run engine calls and tools, so that the scheduler itself never blocks on one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

Call = Callable[[], None]
"""Work that reports its own outcome and raises nothing."""


class Workers(Protocol):
    """Somewhere to run calls."""

    def submit(self, call: Call) -> None:
        """Run the call soon, calls in order of arrival."""

    def replace_one(self) -> None:
        """Start one more worker, in place of one that is stuck in an abandoned call."""

    def close(self) -> None:
        """Take no more calls; those submitted may end by themselves."""

    def join(self) -> None:
        """After `close`: wait until every call has ended."""


class ThreadWorkers:
    """A fixed number of daemon threads.

    Daemons, because a tool that never returns must not keep the program from ending; fixed
    threads, because numeric libraries build their thread teams once per calling thread.
    """

    def __init__(self, count: int, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        for _ in range(count):
            self.replace_one()

    def submit(self, call: Call) -> None:
        """Run the call on the next free thread."""
        self._calls.put(call)

    def replace_one(self) -> None:
        """Start one more thread."""
        thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Let every thread end after the calls already submitted."""
        for _ in self._threads:
            self._calls.put(None)

    def join(self) -> None:
        """Wait until every thread has ended."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class InlineWorkers:
    """Runs each call at once on the caller's thread: for tests and for debugging."""

    def __init__(self, count: int, name: str) -> None:
        """Takes what `ThreadWorkers` takes, and needs none of it."""

    def submit(self, call: Call) -> None:
        """Run the call now."""
        call()

    def replace_one(self) -> None:
        """Nothing to make up for."""

    def close(self) -> None:
        """Nothing to close."""

    def join(self) -> None:
        """Nothing to wait for."""
