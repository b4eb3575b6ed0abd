"""What an endpoint serves, and the limits its operator sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from speceyes_cli.core.agents import Agent, Policy
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.samples import Sample
from speceyes_cli.serve.http.errors import ApiError
from speceyes_cli.serve.http.requests import ChatQuestion
from speceyes_cli.serve.promise import Promise


class Range(NamedTuple):
    """From low to high, both included."""

    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """What one client may ask of the machine."""

    waiting: int = 64
    """Requests that may wait beyond those at work."""
    picture_bytes: int = 20 * 2**20
    """Of the encoded pictures of a request together."""
    picture_pixels: int = 36_000_000
    """8K has 33 million (7680x4320)."""
    pictures: int = 32
    """Of a conversation."""
    fetch: bool = False
    """Whether http(s) pictures are fetched."""
    thresholds: Range = field(default_factory=Range)
    """The thresholds that a request may choose."""

    @property
    def body_bytes(self) -> int:
        """A request's body: its pictures in base64, and its text."""
        return self.picture_bytes * 4 // 3 + 2**20


@dataclass(frozen=True, slots=True)
class Service:
    """The cascade as it is served."""

    name: str
    """The model's name, as clients give it."""
    start: Callable[[Sample, Gate], Policy]
    agent: Agent
    gate: Gate
    gates: Mapping[str, Gate]
    """The gates that a request may choose, by name."""
    limits: ServeLimits = field(default_factory=ServeLimits)
    phase_limits: Mapping[str, int] = field(default_factory=dict)
    """Trajectories that may be in a phase at once."""
    api_key: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()
    """Origins whose pages may ask."""
    page: bool = False
    """Whether a page for trying it stands at `/`."""
    promise: Promise | None = None
    """A certificate's, where the endpoint has one."""


def choose_gate(question: ChatQuestion, service: Service) -> Gate:
    """The gate that decides this request; raises `ApiError` beyond the operator's limits."""
    wanted = question.overrides
    if wanted.gate is not None and wanted.gate not in service.gates:
        known = ", ".join(service.gates)
        raise ApiError(
            400, f"The gate {wanted.gate[:40]!r} cannot be chosen; {known} can.", "speceyes.gate"
        )
    gate = service.gates[wanted.gate] if wanted.gate else service.gate
    if wanted.threshold is None:
        if service.promise is None or gate.name != service.gate.name:
            return gate
        return service.promise.own(gate)
    low, high = service.limits.thresholds
    if not low <= wanted.threshold <= high:
        raise ApiError(
            400,
            f"The threshold must lie between {low:g} and {high:g}, not {wanted.threshold:g}.",
            "speceyes.threshold",
        )
    return replace(gate, threshold=wanted.threshold)
