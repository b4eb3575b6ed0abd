"""A threshold with a guarantee: Learn-then-Test by fixed-sequence testing.

Source: Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test", arXiv 2110.01052.

Bounded is the harm: P(accepted, the agent right, the draft wrong), which bounds the accuracy lost
against always running the agent. Thresholds are walked from strict to loose; "harm >= max_loss" is
tested at level `risk`; the walk stops at the first that stands, and the last one rejected is
certified. Order and grid are fixed before looking, so no correction for many thresholds is needed:
with probability 1 - risk the certified threshold keeps its promise, and with it every stricter one,
which does no more harm.

A unit is what is drawn independently: a sample, or a cluster of samples that share a picture. The
test is chosen by the units' sizes alone:

- All of one size: the exact binomial tail of the units that are harmful, where a unit is harmful
  when any of its samples is. Of equal units, the share of harmful ones bounds that of samples.
- Of different sizes: a bet against "harmful samples are at least the share max_loss of samples"
  (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024). No
  unit of the population may be larger than the largest here.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

from speceyes_cli.core.errors import DataError, UsageError

STEPS = 90
"""Thresholds between one nine and the next."""
FINEST = 8
"""Nines before the grid ends at 1."""
STAKES = (0.5, 0.625, 0.75, 0.875, 1.0)
"""Bets of which the mean is taken, as shares of the largest that cannot lose more than is there.

The best stake for a true harm h is 1 - h / max_loss; above half the bound little can be certified.
"""

Test = Literal["binomial", "betting"]


class Unit(NamedTuple):
    """What is drawn independently: a cluster of samples, or a sample by itself."""

    samples: int
    harmful: tuple[float, ...]
    """The confidences of its harmful samples: each does harm at every threshold below its own."""


class Certified(NamedTuple):
    """The loosest threshold that passed."""

    threshold: float
    n: int
    """Units tested."""
    harmful: int
    """Units with a harmful sample at this threshold."""
    p_value: float
    """Bound on the chance of so little harm if harm were at the bound."""
    test: Test
    """How it was tested."""


@cache
def grid() -> tuple[float, ...]:
    """The thresholds that are tried, strict to loose: 1 to 0, ten times finer with each nine."""
    near_one = [
        round(1 - step / 10**nines, nines)
        for nines in range(FINEST, 2, -1)
        for step in range(10 if nines < FINEST else 0, 10 + STEPS)
    ]
    return (*near_one, *(round(step / 1000, 3) for step in range(900, -1, -1)))


def gather_units(samples: Iterable[tuple[str, float, bool]]) -> list[Unit]:
    """One unit per cluster, from each sample's cluster, confidence and harmfulness.

    The confidence is -inf where the sample is never accepted. A sample is harmful when its draft is
    wrong and the agent right: accepting it then does harm.
    """
    sizes: dict[str, int] = defaultdict(int)
    harmful: dict[str, list[float]] = defaultdict(list)
    for cluster, value, harms in samples:
        sizes[cluster] += 1
        if harms and value > -math.inf:
            harmful[cluster].append(value)
    return [Unit(size, tuple(sorted(harmful[cluster]))) for cluster, size in sizes.items()]


def smallest_n(max_loss: float, risk: float) -> int:
    """The units of one size without which nothing can be certified.

    Without a harmful one, (1 - max_loss)^n must not exceed the risk.
    """
    n = math.ceil(math.log(risk) / math.log1p(-max_loss))
    return n if (1 - max_loss) ** n <= risk else n + 1


def check_levels(max_loss: float, risk: float) -> None:
    """Raise `UsageError` for a level that is no probability within (0, 1)."""
    for flag, value in (("--max-loss", max_loss), ("--risk", risk)):
        if not 0 < value < 1:
            raise UsageError(f"{flag} is a probability between 0 and 1, not {value:g}.")


def examine(units: Sequence[Unit], max_loss: float) -> Callable[[float], Certified]:
    """The test of any one threshold on these units, of which there is at least one."""
    import numpy as np  # noqa: PLC0415 - slow to import

    sizes = np.array([unit.samples for unit in units])
    values = np.array([value for unit in units for value in unit.harmful])
    owners = np.array([i for i, unit in enumerate(units) for _ in unit.harmful], dtype=int)
    test: Test = "binomial" if len(set(sizes.tolist())) == 1 else "betting"
    reckon = _binomial if test == "binomial" else _betting

    def test_at(threshold: float) -> Certified:
        counts = np.bincount(owners[values > threshold], minlength=len(units))
        harmful, p_value = int((counts > 0).sum()), reckon(counts, sizes, max_loss)
        return Certified(threshold, len(units), harmful, p_value, test)

    return test_at


def certify(units: Sequence[Unit], max_loss: float, risk: float) -> Certified | None:
    """The loosest threshold whose harm is below `max_loss` but for `risk`; None when none is.

    Raises `DataError` when there are too few units for any.
    """
    if not units or (test_at := examine(units, max_loss))(math.inf).p_value > risk:
        raise _too_few(units, max_loss, risk)
    thresholds = grid()
    # Harm only grows on the way, and the p-value with it: where the walk stops can be bisected for.
    passed = bisect_left(thresholds, True, key=lambda value: test_at(value).p_value > risk)  # noqa: FBT003 - the value searched for
    return test_at(thresholds[passed - 1]) if passed else None


def _binomial(counts: Any, sizes: Any, max_loss: float) -> float:
    """The chance of no more harmful units than these, were each harmful with this chance."""
    from scipy.stats import binom  # noqa: PLC0415 - slow to import

    return float(binom.cdf(int((counts > 0).sum()), len(sizes), max_loss))


def _betting(counts: Any, sizes: Any, max_loss: float) -> float:
    """One over what the bets came to: by Markov's inequality, the chance to win as much by luck."""
    won = wealth(counts, sizes, int(sizes.max()), max_loss)
    return min(1.0, 1 / won) if won > 0 else 1.0


def wealth(harmful: Any, sizes: Any, largest: int, max_loss: float) -> float:
    """What bets against "harmful samples are at least a share `max_loss`" make of a stake of 1.

    `harmful` are the harmful samples of each unit, `sizes` all of its samples, at most `largest`.
    Of each unit (max_loss * samples - harmful samples) / largest is won or lost, times the stake:
    where harm is at the bound or above, no bet can be expected to win, nor can their mean.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    gain = (max_loss * sizes - harmful) / (largest * (1 - max_loss))
    with np.errstate(divide="ignore"):  # all may be lost
        logs = [float(np.log1p(np.maximum(stake * gain, -1.0)).sum()) for stake in STAKES]
    return math.fsum(math.exp(min(log, 700.0)) for log in logs) / len(STAKES)


def _too_few(units: Sequence[Unit], max_loss: float, risk: float) -> DataError:
    end = f"certify a loss of at most {max_loss:.4g} at risk {risk:.4g}"
    sizes = {unit.samples for unit in units}
    if len(sizes) <= 1:
        return DataError(
            f"{len(units)} independent samples cannot {end}: at least "
            f"{smallest_n(max_loss, risk)} are needed, even if none is harmful."
        )
    return DataError(
        f"{sum(unit.samples for unit in units)} samples in {len(units)} clusters of up to "
        f"{max(sizes)} cannot {end}, even if none is harmful: take more clusters."
    )
