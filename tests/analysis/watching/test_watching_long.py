"""The monitor over 10,000 looks, a thousand draws each: false alarms, and how late a true one is.

`pytest -s` prints both.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from speceyes_cli.analysis.watching.harm_test import Watched, log_evidence

pytestmark = pytest.mark.slow

DRAWS, LOOKS = 1_000, 10_000
MAX_LOSS, RISK = 0.02, 0.10
MOST_ALARMS = int(binom.ppf(1 - 1e-4, DRAWS, RISK))
"""A valid test has more once in ten thousand times, were no seed fixed."""


def tell(figures: str) -> None:
    print(figures)  # noqa: T201 - the figures are what these tests are run for by hand


def first_alarms(watched: Watched, rates: np.ndarray, looks: int, seed: int) -> np.ndarray:
    """Samples at each draw's first alarm, `looks` + 1 where there is none; `rates` by sample."""
    generator = np.random.default_rng(seed)
    counts = np.arange(1, looks + 1)
    first = np.full(DRAWS, looks + 1)
    for start in range(0, DRAWS, 100):
        found = generator.random((100, looks)) < rates * watched.share
        logs = log_evidence(watched, counts, np.cumsum(found, axis=1))
        over = logs >= np.log(watched.alarm_at)
        first[start : start + 100] = np.where(over.any(axis=1), over.argmax(axis=1) + 1, looks + 1)
    return first


@pytest.mark.parametrize("share", [0.02, 0.2, 1.0])
@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("harm at the bound", lambda _: MAX_LOSS),
        ("none, then at the bound", lambda place: np.where(place < LOOKS // 2, 0, MAX_LOSS)),
        ("in turns", lambda place: np.where(place // 50 % 2, MAX_LOSS, MAX_LOSS / 4)),
    ],
)
def test_false_alarms_over_ten_thousand_looks(
    share: float, name: str, rate: Callable[[np.ndarray], np.ndarray]
) -> None:
    watched = Watched(MAX_LOSS, RISK, share)
    rates = np.broadcast_to(rate(np.arange(LOOKS)), LOOKS)
    alarms = int((first_alarms(watched, rates, LOOKS, 3) <= LOOKS).sum())
    tell(f"share {share:g}, {name}: {alarms} of {DRAWS} false alarms, {RISK:.0%} allowed")
    assert alarms <= MOST_ALARMS


@pytest.mark.parametrize(("share", "most"), [(1.0, 2_000), (0.2, 10_000), (0.05, 25_000)])
def test_the_delay_at_twice_the_promised_harm(share: float, most: int) -> None:
    watched = Watched(MAX_LOSS, RISK, share)
    first = first_alarms(watched, np.full(most, 2 * MAX_LOSS), most, 5)
    half, most_late = np.quantile(first, [0.5, 0.9])
    audits = f"{share:g} of accepted drafts audited"
    tell(f"harm 2ε, {audits}: alarm after {half:,.0f} samples (median), {most_late:,.0f} (90%)")
    assert most_late <= most
