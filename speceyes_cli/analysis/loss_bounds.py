"""The smallest loss that a threshold could be certified for: the certificate's test, inverted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from speceyes_cli.analysis.calibration import Unit, examine

STEPS = 14
"""Halvings of the range in which a bound is looked for: to less than a ten-thousandth."""
MOST_SEARCHED = 32
"""Bounds that are searched for where the test has no inverse of its own."""


def loss_bounds(units: Sequence[Unit], thresholds: Sequence[float], risk: float) -> list[float]:
    """For each threshold the loss above which `calibration.certify` reaches it, at this risk.

    Harm only grows as the threshold loosens, so a walk from the strictest one passes a threshold
    where the test at that threshold passes. Units of one size have Clopper and Pearson's upper
    bound on the share of harmful ones. With units of different sizes the bound is searched for, of
    many thresholds only at some: the others have the next looser one's, which is not smaller.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    wanted = np.asarray(thresholds, dtype=float)
    if len({unit.samples for unit in units}) == 1:
        return _of_equal_units(units, wanted, risk)
    values = np.sort([value for unit in units for value in unit.harmful])
    harmful = len(values) - np.searchsorted(values, wanted, side="right")
    states = np.unique(harmful)
    places = np.linspace(0, len(states) - 1, min(len(states), MOST_SEARCHED)).round().astype(int)
    searched = states[np.unique(places)]
    bounds = [_search(units, float(wanted[harmful == count].min()), risk) for count in searched]
    return [bounds[place] for place in np.searchsorted(searched, harmful)]


def _of_equal_units(units: Sequence[Unit], thresholds: Any, risk: float) -> list[float]:
    import numpy as np  # noqa: PLC0415 - slow to import
    from scipy.stats import beta  # noqa: PLC0415 - the same

    n = len(units)
    worst = np.sort([max(unit.harmful, default=-np.inf) for unit in units])
    harmful = n - np.searchsorted(worst, thresholds, side="right")
    every = harmful == n
    found = beta.ppf(1 - risk, harmful + 1, np.where(every, 1, n - harmful))
    return [float(bound) for bound in np.where(every, 1.0, found)]


def _search(units: Sequence[Unit], threshold: float, risk: float) -> float:
    passes: Callable[[float], bool] = lambda loss: examine(units, loss)(threshold).p_value <= risk  # noqa: E731 - one line of the search
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
