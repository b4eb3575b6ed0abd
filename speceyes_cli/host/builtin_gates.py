"""The gates that come with the program."""

from __future__ import annotations

from collections.abc import Iterable

from speceyes_cli.core.gate import scores as gates
from speceyes_cli.core.gate.early_rejection import log_hopeless, min_hopeless
from speceyes_cli.host.hookspecs import hookimpl
from speceyes_cli.host.specs import GateSpec


@hookimpl
def speceyes_gates() -> Iterable[GateSpec]:
    """Yield the paper's four gates, and two simpler ones to compare them with."""
    yield GateSpec(
        "min",
        gates.min_score,
        "the least separable token",
        min_hopeless,
        needs=("separability",),
    )
    yield GateSpec("mean", gates.mean_score, "the mean separability", needs=("separability",))
    yield GateSpec(
        "bottom20",
        gates.bottom20_score,
        "the least separable fifth of the tokens",
        needs=("separability",),
    )
    yield GateSpec(
        "log",
        gates.log_score,
        "geometric mean of the top probabilities",
        log_hopeless,
        needs=("logprob",),
    )
    yield GateSpec(
        "margin",
        gates.margin_score,
        "the smallest gap between first and second",
        needs=("margin",),
    )
    yield GateSpec(
        "entropy",
        gates.entropy_score,
        "one over the effective number of choices",
        needs=("entropy",),
    )
