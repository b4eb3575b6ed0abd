"""The scheduler: many generators alive at once, their asks batched per model, tools beside them.

It is plain Python, knows no tensors, and reads: admit → dispatch → collect → hand out. Each
generator is advanced on the caller's thread only; engines and tools run on workers.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from speceyes_cli.core.agents import Await, Begin, Begun, Drop
from speceyes_cli.core.chat import (
    Answer,
    Ask,
    Engine,
    Observation,
    Preparing,
    Reply,
    Role,
    Run,
    ToolError,
)
from speceyes_cli.core.errors import CancelledSampleError, WorkerDiedError
from speceyes_cli.core.scheduling import calls
from speceyes_cli.core.scheduling.batching import next_batch
from speceyes_cli.core.scheduling.engine_groups import EngineGroup, group_engines, window_for
from speceyes_cli.core.scheduling.phase_limits import PhaseLimits
from speceyes_cli.core.scheduling.trajectories import (
    Asked,
    Finished,
    Job,
    LostCallError,
    Notice,
    Observer,
    Ran,
    Task,
    Trajectory,
    as_error,
    phase_of,
)
from speceyes_cli.core.scheduling.workers import ThreadWorkers, Workers

log = logging.getLogger(__name__)

MAX_STEPS = 1_000
"""Asks and tool calls of one trajectory; a policy that wants more is taken for an endless loop."""
TOOL_WORKERS = 4
_NO_MORE = object()


class Scheduler:
    """Runs trajectories over engines; one `run` per scheduler."""

    def __init__(
        self,
        engines: Mapping[Role, Engine],
        window: int | None = None,
        make_workers: Callable[[int, str], Workers] = ThreadWorkers,
        *,
        limits: Mapping[str, int] | None = None,
        waves: bool = True,
        outlives_servers: bool = False,
        observe: Observer = lambda _key, _event: None,
    ) -> None:
        """`window` bounds live trajectories; by default it keeps every engine's batches full.

        `limits` bounds, for a phase, the trajectories between their first ask of it and their end.
        With `waves` they are then admitted together, once all others have ended, so that those that
        wait do not thin the batches of the others; a source whose tasks come one by one wants none.
        With `outlives_servers`, a `ServerLostError` ends its trajectory, and not the run.
        """
        self._outlives_servers = outlives_servers
        self._engines = engines
        self._window = window or window_for(engines)
        self._groups = group_engines(engines, make_workers)
        self._tools = make_workers(TOOL_WORKERS, "speceyes-tool")
        self._idle_tools = TOOL_WORKERS
        self._limits = PhaseLimits(limits or {})
        self._in_waves = waves and bool(limits)
        self._observe = observe
        self._live: dict[str, Trajectory] = {}
        self._waiting: list[Trajectory] = []
        self._running: list[Job] = []
        self._admitted = 0
        self._finished: deque[Finished] = deque()
        self._completed: SimpleQueue[Job | Notice] = SimpleQueue()
        self._idle_source = False

    @property
    def window(self) -> int:
        """Most trajectories that are alive at once."""
        return self._window

    @property
    def ended(self) -> int:
        """Trajectories that have ended and are not yielded yet."""
        return len(self._finished)

    def wake(self) -> None:
        """Tell `run` that its source has something again. Safe from any thread."""
        self._completed.put(Notice())

    def cancel(self, key: str) -> None:
        """End a trajectory with `CancelledSampleError`, or do nothing if it is not alive.

        A call that it is in is not interrupted, but nothing follows it. Safe from any thread.
        """
        self._completed.put(Notice(key))

    def run(self, tasks: Iterable[Task | None]) -> Generator[Finished, None, None]:
        """Run every task, handing out each as it ends; close the iterator to stop early.

        Tasks are drawn as the window has room. A source that has nothing now but may have later
        gives None, and is asked again after a call has ended or `wake`. Raises what drawing a task
        raises, and a tool's `RunStopError`.
        """
        source = iter(tasks)
        try:
            while self._admit(source) or self._live or self._finished:
                self._dispatch()
                self._collect()
                if self._finished:
                    self._dispatch(only_full=True)  # models go on while the caller keeps a record
                while self._finished:
                    yield self._finished.popleft()
        finally:
            self._stop()

    def _admit(self, source: Iterator[Task | None]) -> bool:
        """Fill the window; whether anything was admitted or may yet come."""
        before = self._admitted
        self._idle_source = False
        if self._in_waves and self._live:
            return False
        while len(self._live) + len(self._finished) < self._window:
            task = next(source, _NO_MORE)
            self._idle_source = task is None
            if not isinstance(task, Task):
                break
            if task.key in self._live:
                raise ValueError(f"two live trajectories are called {task.key!r}")
            trajectory = Trajectory(self._admitted, task.key, task.start(), time.monotonic())
            self._admitted += 1
            self._live[task.key] = trajectory
            self._advance(trajectory, None)
        return self._admitted > before or self._idle_source

    def _dispatch(self, *, only_full: bool = False) -> None:
        """Give every idle worker the most that fits; `only_full`: where no more would fit."""
        self._waiting.sort(key=lambda trajectory: (trajectory.index, trajectory.parent is not None))
        for group in self._groups:
            while group.idle and (batch := self._next_batch(group)):
                asks = [t.need for t in batch if isinstance(t.need, Ask)]
                engine = group.engines[asks[0].role]
                if only_full and len(batch) < engine.max_batch:
                    break
                group.idle -= 1
                generate = partial(calls.generate, engine, asks)
                self._send(group.workers, Job(batch, group), generate)
                for overtaken, _ in self._asking(group):
                    overtaken.overtaken += 1
            self._prepare(group)
        for trajectory in tuple(self._waiting):
            if self._idle_tools and isinstance(run := trajectory.need, Run):
                self._idle_tools -= 1
                deadline = time.monotonic() + run.timeout
                job = Job([trajectory], timeout=run.timeout, deadline=deadline)
                self._send(self._tools, job, partial(calls.run_tool, run))

    def _next_batch(self, group: EngineGroup) -> list[Trajectory]:
        asking = [
            (trajectory, ask)
            for trajectory, ask in self._asking(group)
            if self._limits.enter(trajectory.key, ask.phase)
        ]
        waiting = [one.as_waiting(ask) for one, ask in asking]
        sizes = {role: engine.max_batch for role, engine in group.engines.items()}
        return [asking[place][0] for place in next_batch(waiting, sizes)]

    def _prepare(self, group: EngineGroup) -> None:
        """Let engines open the pictures of the asks that wait while they compute."""
        for role, engine in group.engines.items():
            if isinstance(engine, Preparing):
                asks = [ask for _, ask in self._asking(group) if ask.role == role]
                if asks:
                    engine.prepare(asks[: engine.max_batch])

    def _asking(self, group: EngineGroup) -> list[tuple[Trajectory, Ask]]:
        return [
            (trajectory, trajectory.need)
            for trajectory in self._waiting
            if isinstance(trajectory.need, Ask) and trajectory.need.role in group.engines
        ]

    def _send(self, workers: Workers, job: Job, execute: Callable[[], list[Any]]) -> None:
        """Hand a job to the workers; it comes back through the queue when it is done."""

        def call() -> None:
            began = time.monotonic()
            try:
                job.outcomes = execute()
            except BaseException as error:  # noqa: BLE001 - a worker must always report
                job.outcomes = [LostCallError(error)] * len(job.trajectories)
            job.seconds = time.monotonic() - began
            self._completed.put(job)

        for trajectory in job.trajectories:
            self._waiting.remove(trajectory)
        self._running.append(job)
        workers.submit(call)

    def _collect(self) -> None:
        """Wait for a completed job unless something has ended already; take all there are."""
        block = (bool(self._running) or self._idle_source) and not self._finished
        while job := self._next_completed(block=block):
            block = False
            if isinstance(job, Notice):
                self._cancel(job.cancelled)
                continue
            if job not in self._running:  # a tool that was given up before it came back
                continue
            self._retire(job)
            for trajectory, outcome in zip(job.trajectories, job.outcomes, strict=True):
                self._receive(trajectory, outcome, job.seconds)
        self._give_up_late_tools()

    def _cancel(self, key: str | None) -> None:
        trajectory = self._live.get(key) if key is not None else None
        if trajectory is None:
            return
        trajectory.cancelled = True
        waits = trajectory in self._waiting
        if waits:
            self._waiting.remove(trajectory)
        if waits or isinstance(trajectory.need, Await):
            self._end(trajectory, error=CancelledSampleError())

    def _next_completed(self, *, block: bool) -> Job | Notice | None:
        deadline = min((job.deadline for job in self._running), default=math.inf)
        timeout = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
        try:
            return self._completed.get(block=block, timeout=timeout)
        except Empty:
            return None

    def _give_up_late_tools(self) -> None:
        now = time.monotonic()
        for job in [job for job in self._running if job.deadline <= now]:
            self._tools.replace_one()
            self._retire(job)
            told = ToolError("timeout", f"The tool did not finish within {job.timeout:g} seconds.")
            self._receive(job.trajectories[0], told, job.timeout)

    def _retire(self, job: Job) -> None:
        self._running.remove(job)
        if job.group is None:
            self._idle_tools += 1
        else:
            job.group.idle += 1

    def _receive(self, trajectory: Trajectory, outcome: Any, seconds: float) -> None:
        """Note what came back for the trajectory's need, and let it go on, try again or end."""
        need = trajectory.need
        outcome = calls.unless_stopping(outcome, outlives_servers=self._outlives_servers)
        if trajectory.cancelled:
            if trajectory.parent is None:
                self._end(trajectory, error=CancelledSampleError())
            return
        if isinstance(outcome, LostCallError | WorkerDiedError) and not trajectory.lost:
            trajectory.lost += 1
            self._waiting.append(trajectory)
            return
        if isinstance(need, Ask) and isinstance(outcome, Reply):
            trajectory.events.append(Asked(need, outcome))
        elif isinstance(need, Run) and isinstance(outcome, Observation | ToolError):
            trajectory.events.append(Ran(need, outcome, seconds))
        else:
            self._end(trajectory, error=as_error(outcome, need))
            return
        self._observe(trajectory.key, trajectory.events[-1])
        trajectory.lost = 0
        self._advance(trajectory, outcome)

    def _advance(self, trajectory: Trajectory, outcome: Any) -> None:
        """Let the generator run to its next need or its end."""
        try:
            need = trajectory.policy.send(outcome)
        except StopIteration as end:
            self._end(trajectory, answer=end.value)
            return
        except Exception as error:  # noqa: BLE001 - it becomes the sample's error record
            self._end(trajectory, error=error)
            return
        if len(trajectory.events) >= MAX_STEPS:
            self._end(trajectory, error=RuntimeError(f"no answer after {MAX_STEPS} steps"))
        elif isinstance(need, Ask) and need.role in self._engines:
            self._await(trajectory, replace(need, trajectory=trajectory.key))
        elif isinstance(need, Run):
            self._await(trajectory, need)
        elif isinstance(need, Begin | Await | Drop) and trajectory.parent is None:
            self._advance_beside(trajectory, need)
        else:
            self._end(trajectory, error=TypeError(f"nobody can serve {type(need).__name__}"))

    def _advance_beside(self, trajectory: Trajectory, need: Begin | Await | Drop) -> None:
        """Begin something beside the trajectory, let go of it, or take what it ended with."""
        if isinstance(need, Begin):
            begun = trajectory.begin(need.steps)
            self._advance(trajectory.beside[begun], None)
            self._advance(trajectory, begun)
        elif need.begun not in trajectory.beside:
            self._end(trajectory, error=TypeError("the policy awaits what it has not begun"))
        elif isinstance(need, Drop):
            self._drop(trajectory, need.begun)
            self._advance(trajectory, None)
        elif trajectory.beside[need.begun].outcome is None:
            trajectory.need = need
        elif isinstance(outcome := trajectory.take(need.begun), Exception):
            self._end(trajectory, error=outcome)
        else:
            self._advance(trajectory, outcome)

    def _drop(self, trajectory: Trajectory, begun: Begun) -> None:
        """Let nothing follow what runs beside the trajectory, and count what it has cost."""
        other = trajectory.beside.pop(begun)
        other.cancelled = True
        self._waiting = [waiting for waiting in self._waiting if waiting is not other]
        self._close_policy(other)
        job = next((job for job in self._running if other in job.trajectories), None)
        share = None if job is None else (time.monotonic() - job.began) / len(job.trajectories)
        trajectory.events += other.wasted(share)

    def _await(self, trajectory: Trajectory, need: Ask | Run) -> None:
        trajectory.need, trajectory.overtaken = need, 0
        self._waiting.append(trajectory)
        self._observe(trajectory.key, need)

    def _end(
        self, trajectory: Trajectory, answer: Any = None, error: Exception | None = None
    ) -> None:
        parent = trajectory.parent
        if parent is not None:
            trajectory.outcome = answer if error is None else error
            if (
                isinstance(parent.need, Await)
                and parent.beside.get(parent.need.begun) is trajectory
            ):
                self._advance_beside(parent, parent.need)
            return
        if error is None and not isinstance(answer, Answer):
            error = TypeError(f"the policy ended with {type(answer).__name__}, not an Answer")
        failed_in = None
        if error is not None:
            answer = None
            failed_in = phase_of(trajectory.need)
            log.debug("%s failed in %s", trajectory.key, failed_in, exc_info=error)
        self._close_policy(trajectory)
        for begun in tuple(trajectory.beside):
            self._drop(trajectory, begun)
        del self._live[trajectory.key]
        self._limits.leave(trajectory.key)
        for group in self._groups:
            for engine in _distinct(group.engines.values()):
                group.workers.submit(partial(calls.forget, engine, trajectory.key))
        elapsed = time.monotonic() - trajectory.started
        self._finished.append(
            Finished(trajectory.key, answer, error, failed_in, tuple(trajectory.events), elapsed)
        )

    @staticmethod
    def _close_policy(trajectory: Trajectory) -> None:
        try:
            trajectory.policy.close()
        except Exception:
            log.exception("%s could not be closed", trajectory.key)

    def _stop(self) -> None:
        """Drop what is live; engine calls that run are waited for, tools are not."""
        for trajectory in self._live.values():
            for one in (trajectory, *trajectory.beside.values()):
                self._close_policy(one)
        self._live.clear()
        self._tools.close()
        for group in self._groups:
            group.workers.close()
        for group in self._groups:
            group.workers.join()


def _distinct(engines: Iterable[Engine]) -> list[Engine]:
    return list({id(engine): engine for engine in engines}.values())
