"""A queue of questions before one scheduler, which runs on a thread of its own.

Questions that are alive together are batched together, as the samples of a run are.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from functools import partial

from speceyes_cli.core.agents import Agent, Keeper, Policy
from speceyes_cli.core.chat import Engine, Forwarding, Role
from speceyes_cli.core.errors import SpecEyesError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.methods.policies import solve
from speceyes_cli.core.run.record_builder import build_record
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.samples import Sample
from speceyes_cli.core.scheduling.scheduler import Scheduler
from speceyes_cli.core.scheduling.trajectories import Finished, Task
from speceyes_cli.serve.savings import AgentCosts, Saving
from speceyes_cli.serve.service import Service

log = logging.getLogger(__name__)

LONGEST_RETRY = 60
LAST_SECONDS = 0.5
REMEMBERED = 64
"""Latest endings from which the pace is known."""


def solve_alone(sample: Sample, agent: Agent) -> Policy:
    """The agent's own answer, for an audit."""
    return (yield from solve(sample, agent))


class QueueClosedError(Exception):
    """Nothing is answered any more."""


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """A question's record, and how long it waited to be begun."""

    record: Record
    waited: float
    saving: Saving | None = None
    """Against the agent alone; None where that cannot be estimated."""
    certified: bool | None = None
    """Whether the endpoint's certificate covers the answer; None: it has none."""


@dataclass(slots=True, eq=False)
class _Ticket:
    sample: Sample
    gate: Gate
    start: Callable[[], Policy]
    future: Future[AnsweredRequest] = field(default_factory=Future)
    handed_in: float = field(default_factory=time.monotonic)
    waited: float = 0.0


class RequestQueue:
    """Takes questions from any thread. Cancelling the future it gives drops the question."""

    def __init__(self, service: Service, engines: Mapping[Role, Engine]) -> None:
        self._service = service
        self._scheduler = Scheduler(
            engines, limits=service.phase_limits, waves=False, outlives_servers=True
        )
        large = engines.get("large")
        self.forwarding = large if isinstance(large, Forwarding) else None
        """Who answers a request as it was written, where somebody does."""
        lengths = [getattr(engine, "context_length", None) for engine in engines.values()]
        self.context_length = min((n for n in lengths if isinstance(n, int)), default=None)
        """Tokens of the longest conversation that every model reads, where one tells."""
        self._costs = AgentCosts()
        self._promise = service.promise
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        self._live: dict[str, _Ticket] = {}
        self._endings: deque[float] = deque(maxlen=REMEMBERED)
        self._closing = False
        self._withdrawn = False
        self.failure: BaseException | None = None
        """Why nothing can be answered any more; None while that is not so, or was asked for."""
        self._thread = threading.Thread(target=self._work, name="speceyes-queue", daemon=True)
        self._thread.start()

    @property
    def capacity(self) -> int:
        """Most requests at once: those being answered and those waiting."""
        return self._scheduler.window + self._service.limits.waiting

    @property
    def waiting(self) -> int:
        """Questions not yet begun."""
        return len(self._waiting)

    @property
    def live(self) -> int:
        """Questions being answered."""
        return len(self._live)

    @property
    def is_open(self) -> bool:
        """Whether questions are taken."""
        return self._thread.is_alive() and not self._closing

    @property
    def is_offered(self) -> bool:
        """Whether balancers should send questions."""
        return self.is_open and not self._withdrawn

    def withdraw(self) -> None:
        """Tell balancers to send no more; what comes all the same is taken."""
        self._withdrawn = True

    def submit(
        self, sample: Sample, gate: Gate, start: Callable[[], Policy]
    ) -> Future[AnsweredRequest]:
        """Submit a question, its id unique, and its policy; raises `QueueClosedError`."""
        ticket = _Ticket(sample, gate, start)
        with self._lock:
            if not self.is_open:
                raise QueueClosedError
            self._waiting.append(ticket)
        ticket.future.add_done_callback(partial(self._drop_if_cancelled, sample.key))
        self._scheduler.wake()
        return ticket.future

    def retry_after(self) -> int:
        """Whole seconds in which half of those inside should have been answered."""
        endings = tuple(self._endings)
        if len(endings) < 2 or endings[-1] <= endings[0]:  # noqa: PLR2004 - a pace needs two
            return 1
        pace = (len(endings) - 1) / (endings[-1] - endings[0])
        return min(LONGEST_RETRY, max(1, math.ceil((self.live + self.waiting) / 2 / pace)))

    def close(self, seconds: float) -> bool:
        """Finish what was submitted; after `seconds` drop the rest; True: all finished.

        What a model or a tool is at then is waited for `LAST_SECONDS`, and left.
        """
        self._closing = True
        for key in self._promise.under_way if self._promise is not None else ():
            self._scheduler.cancel(key)
        self._scheduler.wake()
        self._thread.join(seconds)
        finished = not self._thread.is_alive()
        with self._lock:
            tickets = [*self._waiting, *self._live.values()]
        for ticket in tickets:
            ticket.future.cancel()
        self._thread.join(LAST_SECONDS)
        return finished

    def _work(self) -> None:
        try:
            with contextlib.closing(self._scheduler.run(self._tasks())) as ended:
                for finished in ended:
                    self._settle(finished)
        except SpecEyesError as error:
            log.critical("nothing is answered any more: %s", error)
            self.failure = error
        except BaseException as error:
            log.exception("nothing is answered any more")
            self.failure = error
        finally:
            with self._lock:
                self._closing = True
                left = [*self._waiting, *self._live.values()]
                self._waiting.clear()
                self._live.clear()
            for ticket in left:
                with contextlib.suppress(InvalidStateError):
                    ticket.future.set_exception(QueueClosedError(str(self.failure or "")))
            if isinstance(self._service.agent, Keeper):
                self._service.agent.close()

    def _tasks(self) -> Iterator[Task | None]:
        while True:
            with self._lock:
                ticket = self._waiting.popleft() if self._waiting else None
                if ticket is not None and not ticket.future.cancelled():
                    self._live[ticket.sample.key] = ticket
                elif ticket is not None:
                    continue
                elif self._closing:
                    return
            if ticket is None:
                yield self._next_audit()
            else:
                ticket.waited = time.monotonic() - ticket.handed_in
                yield Task(ticket.sample.key, ticket.start)

    def _next_audit(self) -> Task | None:
        """An audit, where no question waits to be begun; one at a time."""
        if self._promise is None or not self._promise.due:
            return None
        sample = self._promise.begin()
        return Task(sample.key, partial(solve_alone, sample, self._service.agent))

    def _settle(self, finished: Finished) -> None:
        if self._promise is not None and finished.key in self._promise.under_way:
            if not self._closing:  # what a stop cuts short found nothing
                answer = finished.answer
                self._promise.end(finished.key, None if answer is None else answer.text)
            return
        with self._lock:
            ticket = self._live.pop(finished.key)
        if ticket.future.cancelled():
            return
        self._endings.append(time.monotonic())
        if not (self._live or self._waiting):
            self._endings.clear()  # the pace is that of work, not of what came now and then
        try:
            record = build_record(ticket.sample, 0, finished, ticket.gate, None)
            saving = self._costs.estimate(record) if ticket.sample.pictures else None
        except Exception as error:  # noqa: BLE001 - a plugin's odd answer fails its question only
            with contextlib.suppress(InvalidStateError):
                ticket.future.set_exception(error)
            return
        with contextlib.suppress(InvalidStateError):  # cancelled this instant
            ticket.future.set_result(
                AnsweredRequest(record, ticket.waited, saving, self._certified(ticket))
            )
        if self._promise is not None and self._certified(ticket) and record.error is None:
            self._promise.note(ticket.sample, record.text if record.route == "small" else None)

    def _certified(self, ticket: _Ticket) -> bool | None:
        return None if self._promise is None else self._promise.covers(ticket.gate, ticket.sample)

    def _drop_if_cancelled(self, key: str, future: Future[AnsweredRequest]) -> None:
        if future.cancelled():
            self._scheduler.cancel(key)
