"""A threshold with a guarantee: Learn-then-Test by fixed-sequence testing.

Source: Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test", arXiv 2110.01052.

Bounded is the harm: P(accepted, the agent right, the draft wrong), which bounds the accuracy lost
against always running the agent. Thresholds are walked from strict to loose; "harm >= max_loss" is
tested at level `risk` with the exact binomial tail; the walk stops at the first that stands, and
the last one rejected is certified. Order and grid are fixed before looking, so no correction for
many tests is needed: with probability 1 - risk the certified threshold keeps its promise.

A unit is a cluster, harmful when any of its samples is: samples that share a picture are not
independent. Where clusters are of one size, that also bounds the share of harmful samples.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from speceyes_cli.core.errors import DataError, UsageError

STEPS = 90
"""Thresholds between one nine and the next."""
FINEST = 8
"""Nines before the grid ends at 1."""


class Unit(NamedTuple):
    """What is drawn independently: a cluster of samples, or a sample by itself."""

    samples: int
    harmful_above: float
    """It is harmful at every threshold below this; -inf when at none."""


class Certified(NamedTuple):
    """The loosest threshold that passed."""

    threshold: float
    n: int
    """Units tested."""
    harmful: int
    """Harmful units at this threshold."""
    p_value: float
    """Chance of so few harmful units if harm were at the bound."""


def grid() -> list[float]:
    """The thresholds that are tried, strict to loose: 1 to 0, ten times finer with each nine."""
    near_one = [
        round(1 - step / 10**nines, nines)
        for nines in range(FINEST, 2, -1)
        for step in range(10 if nines < FINEST else 0, 10 + STEPS)
    ]
    return near_one + [round(step / 1000, 3) for step in range(900, -1, -1)]


def gather_units(samples: Iterable[tuple[str, float, bool]]) -> list[Unit]:
    """One unit per cluster, from each sample's cluster, confidence and harmfulness.

    The confidence is -inf where the sample is never accepted. A sample is harmful when its draft is
    wrong and the agent right: accepting it then does harm.
    """
    clusters: dict[str, list[float]] = defaultdict(list)
    for cluster, value, harmful in samples:
        clusters[cluster].append(value if harmful else -math.inf)
    return [Unit(len(values), max(values)) for values in clusters.values()]


def smallest_n(max_loss: float, risk: float) -> int:
    """The units without which nothing can be certified: (1 - max_loss)^n must not exceed risk."""
    n = math.ceil(math.log(risk) / math.log1p(-max_loss))
    return n if (1 - max_loss) ** n <= risk else n + 1


def check_levels(max_loss: float, risk: float) -> None:
    """Raise `UsageError` for a level that is no probability within (0, 1)."""
    for flag, value in (("--max-loss", max_loss), ("--risk", risk)):
        if not 0 < value < 1:
            raise UsageError(f"{flag} is a probability between 0 and 1, not {value:g}.")


def certify(units: Sequence[Unit], max_loss: float, risk: float) -> Certified | None:
    """The loosest threshold whose harm is below `max_loss` but for `risk`; None when none is.

    Raises `DataError` when there are too few units for any.
    """
    from scipy.stats import binom  # noqa: PLC0415 - slow to import

    n, needed = len(units), smallest_n(max_loss, risk)
    if n < needed:
        raise DataError(
            f"{n} independent samples cannot certify a loss of at most {max_loss:.4g} at risk "
            f"{risk:.4g}: at least {needed} are needed, even if none is harmful."
        )
    p_values = binom.cdf(range(n + 1), n, max_loss)
    bounds = sorted(unit.harmful_above for unit in units)
    certified = None
    for threshold in grid():
        harmful = n - bisect_right(bounds, threshold)
        if p_values[harmful] > risk:
            break
        certified = Certified(threshold, n, harmful, float(p_values[harmful]))
    return certified
