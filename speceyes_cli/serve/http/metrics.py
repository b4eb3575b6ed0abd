"""Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from speceyes_cli.serve.promise import Promise
from speceyes_cli.serve.queue import AnsweredRequest, RequestQueue

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Counters, histograms and gauges of one endpoint, in a registry of its own."""

    def __init__(self, queue: RequestQueue, promise: Promise | None = None) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, help_: str, *labels: str) -> Counter:
            return Counter(name, help_, labels, registry=registry)

        def histogram(name: str, help_: str, *labels: str) -> Histogram:
            return Histogram(name, help_, labels, registry=registry, buckets=SECONDS)

        self._responses = counter("speceyes_responses", "Responses by HTTP status.", "status")
        self._answers = counter(
            "speceyes_answers", "Questions by route: small, large, error, passed.", "route"
        )
        self._screened = counter(
            "speceyes_screened", "Screens by whether they let the question pass.", "passed"
        )
        self._drafts = counter(
            "speceyes_drafts", "Drafts by whether the gate accepted them.", "accepted"
        )
        self._cancelled = counter("speceyes_cancelled", "Questions whose client left.")
        self._phases = histogram(
            "speceyes_phase_seconds",
            "Time of one question in a phase, its share of each batch.",
            "phase",
        )
        self._whole = histogram(
            "speceyes_request_seconds", "From handing in to the answer.", "route"
        )
        self._waited = histogram("speceyes_waited_seconds", "From handing in to the first work.")
        self._passed = _Share("speceyes_beta", "Share of screened questions that passed", registry)
        self._accepted = _Share("speceyes_alpha", "Share of drafts accepted", registry)
        _watch_queue(queue, registry)
        if promise is not None and promise.is_watched:
            _watch_promise(promise, registry)

    def note_answer(self, answered: AnsweredRequest) -> None:
        """Count a question that has ended."""
        record = answered.record
        self._answers.labels(record.route).inc()
        self._whole.labels(record.route).observe(answered.waited + record.elapsed)
        self._waited.observe(answered.waited)
        for phase, seconds in record.phase_seconds.items():
            self._phases.labels(phase).observe(seconds)
        if record.passed_screen is not None:
            self._screened.labels(str(record.passed_screen).lower()).inc()
            self._passed.add(record.passed_screen)
        if record.draft is not None and record.route != "error":
            self._drafts.labels(str(record.draft.accepted).lower()).inc()
            self._accepted.add(record.draft.accepted)

    def note_passed(self) -> None:
        """Count a request that another endpoint answers by itself."""
        self._answers.labels("passed").inc()

    def note_response(self, status: int) -> None:
        """Count a response."""
        self._responses.labels(str(status)).inc()

    def note_cancelled(self) -> None:
        """Count a client that left."""
        self._cancelled.inc()

    def text(self) -> bytes:
        """Everything in Prometheus's text form."""
        return generate_latest(self._registry)


class _Share:
    """A share of what has been counted since the start."""

    def __init__(self, name: str, help_: str, registry: CollectorRegistry) -> None:
        self._gauge = Gauge(name, f"{help_}, since the start.", registry=registry)
        self._hits = 0
        self._all = 0

    def add(self, hit: bool) -> None:  # noqa: FBT001 - it is what is counted
        self._hits += hit
        self._all += 1
        self._gauge.set(self._hits / self._all)


def _watch_queue(queue: RequestQueue, registry: CollectorRegistry) -> None:
    """Gauges of what is inside."""
    _read("speceyes_waiting", "Questions not yet begun.", lambda: queue.waiting, registry)
    _read("speceyes_live", "Questions at work.", lambda: queue.live, registry)
    told = "Questions inside beyond which 429 is answered."
    _read("speceyes_capacity", told, lambda: queue.capacity, registry)


def _watch_promise(promise: Promise, registry: CollectorRegistry) -> None:
    """Gauges of the certificate's promise."""
    told = "E-value against the promise."
    _read("speceyes_promise_evidence", told, lambda: promise.evidence, registry)
    told = "Evidence at which an alarm is given."
    _read("speceyes_promise_alarm_at", told, lambda: promise.alarm_at, registry)
    told = "Alarms since the test was begun."
    _read("speceyes_promise_alarms", told, lambda: promise.alarms, registry)
    told = "The threshold now."
    _read("speceyes_promise_threshold", told, lambda: promise.threshold, registry)
    audits = Gauge("speceyes_audits", "Audits by finding.", ["found"], registry=registry)
    for finding in promise.findings:
        audits.labels(finding).set_function(partial(promise.findings.__getitem__, finding))


def _read(name: str, help_: str, value: Callable[[], float], registry: CollectorRegistry) -> None:
    """A gauge that is read when it is asked for."""
    Gauge(name, help_, registry=registry).set_function(value)
