"""Prometheus metrics."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from speceyes_cli.serve.promise import Promise
from speceyes_cli.serve.queue import AnsweredRequest, RequestQueue

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Counters, histograms and gauges of one endpoint, in a registry of its own."""

    def __init__(self, queue: RequestQueue, promise: Promise | None = None) -> None:
        registry = self._registry = CollectorRegistry()
        self._responses = Counter(
            "speceyes_responses", "Responses by HTTP status.", ["status"], registry=registry
        )
        self._answers = Counter(
            "speceyes_answers",
            "Questions by route: small, large, error, passed.",
            ["route"],
            registry=registry,
        )
        self._screened = Counter(
            "speceyes_screened",
            "Screens by whether they let the question pass.",
            ["passed"],
            registry=registry,
        )
        self._drafts = Counter(
            "speceyes_drafts",
            "Drafts by whether the gate accepted them.",
            ["accepted"],
            registry=registry,
        )
        self._cancelled = Counter(
            "speceyes_cancelled", "Questions whose client left.", registry=registry
        )
        self._phases = Histogram(
            "speceyes_phase_seconds",
            "Time of one question in a phase, its share of each batch.",
            ["phase"],
            registry=registry,
            buckets=SECONDS,
        )
        self._whole = Histogram(
            "speceyes_request_seconds",
            "From handing in to the answer.",
            ["route"],
            registry=registry,
            buckets=SECONDS,
        )
        self._waited = Histogram(
            "speceyes_waited_seconds",
            "From handing in to the first work.",
            registry=registry,
            buckets=SECONDS,
        )
        for name, help_, read in (
            ("speceyes_waiting", "Questions not yet begun.", lambda: queue.waiting),
            ("speceyes_live", "Questions at work.", lambda: queue.live),
            (
                "speceyes_capacity",
                "Questions inside beyond which 429 is answered.",
                lambda: queue.capacity,
            ),
        ):
            Gauge(name, help_, registry=registry).set_function(read)
        self._beta = Gauge(
            "speceyes_beta",
            "Share of screened questions that passed, since the start.",
            registry=registry,
        )
        self._alpha = Gauge(
            "speceyes_alpha", "Share of drafts accepted, since the start.", registry=registry
        )
        self._passed = [0, 0]
        self._accepted = [0, 0]
        if promise is not None and promise.is_watched:
            _watch(promise, registry)

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
            self._beta.set(_share(self._passed, record.passed_screen))
        if record.draft is not None and record.route != "error":
            self._drafts.labels(str(record.draft.accepted).lower()).inc()
            self._alpha.set(_share(self._accepted, record.draft.accepted))

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


def _watch(promise: Promise, registry: CollectorRegistry) -> None:
    """Gauges of the certificate's promise."""
    for name, help_, read in (
        ("speceyes_promise_evidence", "E-value against the promise.", lambda: promise.evidence),
        ("speceyes_promise_alarms", "Alarms since the start.", lambda: promise.alarms),
        ("speceyes_promise_threshold", "The threshold now.", lambda: promise.threshold),
    ):
        Gauge(name, help_, registry=registry).set_function(read)
    audits = Gauge("speceyes_audits", "Audits by finding.", ["found"], registry=registry)
    for finding in promise.findings:
        audits.labels(finding).set_function(partial(promise.findings.__getitem__, finding))


def _share(counts: list[int], hit: bool) -> float:  # noqa: FBT001 - it is what is counted
    counts[0] += hit
    counts[1] += 1
    return counts[0] / counts[1]
