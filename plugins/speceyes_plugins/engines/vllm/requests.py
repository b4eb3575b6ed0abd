"""Requests that join vLLM's running batch from many threads, stepped by one."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from speceyes_plugins.engines.vllm.slots import ScoreSlot, StepScores

FORWARD = threading.Lock()
"""vLLM keeps the context of a forward pass in a module of its own, so two models in one process
may not compute at the same moment."""


class EngineDiedError(Exception):
    """vLLM stopped working; nothing can be asked of it any more."""


@dataclass(slots=True, eq=False)
class Request:
    """One prompt on its way through vLLM."""

    prompt: Any
    parameters: Any
    slot: ScoreSlot | None
    watch: Callable[[Any], None] | None = None
    """Called with each `RequestOutput` as it comes, and with the error that ends them."""
    done: threading.Event = field(default_factory=threading.Event)
    output: Any = None
    """vLLM's `RequestOutput`; None where the draft was rejected before its end."""
    error: Exception | None = None
    seconds: float = 0.0
    """Its share of the time of every step that it was part of."""
    dropped: bool = False
    """Nobody wants the rest of it."""

    def end(self, error: Exception) -> None:
        """It ends without an answer."""
        self.error = error
        if self.watch is not None:
            self.watch(error)
        self.done.set()


class StepThread:
    """Steps vLLM on a thread of its own for as long as anything runs."""

    def __init__(self, engine: Any, scores: StepScores) -> None:
        """`engine` is a `vllm.LLM`'s `llm_engine`; it belongs to this thread from now on."""
        self._engine, self._scores = engine, scores
        self._arrived: SimpleQueue[Request | None] = SimpleQueue()
        self._running: dict[str, Request] = {}
        self._numbers = itertools.count()
        self._died: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="speceyes-vllm", daemon=True)
        self._thread.start()

    @property
    def died(self) -> Exception | None:
        """Why vLLM has stopped working, where it has."""
        return self._died

    def answer(self, request: Request) -> Request:
        """Let the request join the batch and wait for its end; raises what went wrong with it."""
        self.begin(request)
        request.done.wait()
        if request.error is not None:
            raise request.error
        return request

    def begin(self, request: Request) -> None:
        """Let the request join the batch; raises `EngineDiedError`."""
        if self._died is not None:
            raise EngineDiedError(str(self._died)) from self._died
        self._arrived.put(request)

    def drop(self, request: Request) -> None:
        """Nobody wants the rest of it, whether it has joined the batch or not."""
        request.dropped = True

    def close(self) -> None:
        """End the thread; what still runs ends with an error."""
        self._arrived.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._take_arrivals():
                self._step()
        except Exception as error:  # noqa: BLE001 - every waiting thread must be told
            self._died = error
        self._fail_all(self._died or EngineDiedError("the engine was closed"))

    def _take_arrivals(self) -> bool:
        """Add what has arrived, waiting while nothing runs; False once closed."""
        while True:
            try:
                request = self._arrived.get(block=not self._running)
            except Empty:
                return True
            if request is None:
                return False
            if request.dropped:
                request.done.set()
                continue
            name = str(next(self._numbers))
            try:
                with FORWARD:  # pictures are prepared here, with vLLM's own caches
                    began = time.perf_counter()
                    self._engine.add_request(name, request.prompt, request.parameters)
                    request.seconds = time.perf_counter() - began
            except Exception as error:  # noqa: BLE001 - a prompt that vLLM refuses
                request.end(error)
                continue
            self._running[name] = request

    def _step(self) -> None:
        with FORWARD:
            began = time.perf_counter()
            outputs = self._engine.step()
            self._scores.collect()
            share = (time.perf_counter() - began) / len(self._running)
        for request in self._running.values():
            request.seconds += share
        for output in outputs:
            watched = self._running.get(output.request_id)
            if watched is not None and watched.watch is not None:
                watched.watch(output)
            if output.finished and output.request_id in self._running:
                request = self._running.pop(output.request_id)
                request.output = output
                request.done.set()
        self._abort_dropped()
        lost = [n for n, one in self._running.items() if one.slot is not None and one.slot.hopeless]
        if lost:
            self._engine.abort_request(lost)
            for name in lost:
                self._running.pop(name).done.set()

    def _abort_dropped(self) -> None:
        names = [name for name, one in self._running.items() if one.dropped]
        if names:
            self._engine.abort_request(names)
            for name in names:
                self._running.pop(name).done.set()

    def _fail_all(self, error: Exception) -> None:
        while True:
            try:
                request = self._arrived.get_nowait()
            except Empty:
                break
            if request is not None:
                self._running[str(next(self._numbers))] = request
        for request in self._running.values():
            request.end(EngineDiedError(str(error)))
        self._running.clear()
