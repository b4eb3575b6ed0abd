from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from speceyes_cli.core.tables.intervals import (
    MOST_DRAWN,
    clustered_share,
    mcnemar,
    paired_speedup,
    percentile,
    wilson,
)


def test_wilson_against_published_values() -> None:
    # Newcombe (1998), table I: 81 of 263 and 15 of 148
    for right, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        interval = wilson(right, total)
        assert interval is not None
        assert interval.low == pytest.approx(low, abs=5e-5)
        assert interval.high == pytest.approx(high, abs=5e-5)


def test_samples_without_any_time_leave_the_interval_finite() -> None:
    found = paired_speedup([1.0] * 10, [0.0] * 9 + [1.0])
    assert found is not None
    assert found.value == 10.0
    assert 1 < found.low <= found.value <= found.high <= 10


def test_wilson_of_nothing_and_of_everything() -> None:
    assert wilson(0, 0) is None
    everything = wilson(10, 10)
    assert everything is not None
    assert everything.value == everything.high == 1.0
    assert 0.7 < everything.low < 0.75


@given(st.integers(1, 300), st.data())
def test_wilson_holds_its_value(total: int, data: st.DataObject) -> None:
    interval = wilson(data.draw(st.integers(0, total)), total)
    assert interval is not None
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_speedup_is_the_ratio_of_means() -> None:
    speedup = paired_speedup([2.0, 4.0, 6.0], [1.0, 1.0, 2.0])
    assert speedup is not None
    assert speedup.value == pytest.approx(3.0)
    assert speedup.low <= 3.0 <= speedup.high


def test_a_constant_ratio_has_no_spread() -> None:
    speedup = paired_speedup([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert speedup is not None
    assert (speedup.low, speedup.high) == (pytest.approx(2.0), pytest.approx(2.0))


def test_speedup_is_reproducible_and_needs_time() -> None:
    times = [0.1 * n for n in range(1, 30)]
    assert paired_speedup(times[::-1], times) == paired_speedup(times[::-1], times)
    assert paired_speedup([], []) is None
    assert paired_speedup([1.0], [0.0]) is None


def test_mcnemar_by_hand() -> None:
    first = [True] * 10 + [False] * 2 + [True] * 5
    second = [False] * 10 + [True] * 2 + [True] * 5
    # two-sided binomial: 2 * (1 + 12 + 66) / 4096
    assert mcnemar(first, second) == pytest.approx(2 * 79 / 4096)
    assert mcnemar(first, first) == 1.0


def test_percentiles() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0], 0.95) == 3.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert percentile([float(n) for n in range(101)], 0.95) == pytest.approx(95.0)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    first, second = [False] * gained + [True] * lost, [True] * gained + [False] * lost
    expected = binomtest(min(gained, lost), gained + lost).pvalue if gained + lost else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_differences_needs_no_patience() -> None:
    """30,000 differing samples took minutes when each number of ways was worked out anew."""
    first, second = [False] * 14_900 + [True] * 15_100, [True] * 14_900 + [False] * 15_100
    expected = binomtest(14_900, 30_000).pvalue
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-6)


def test_of_many_samples_the_spread_is_reckoned_to_what_drawing_gives() -> None:
    chance = np.random.default_rng(0)
    few = MOST_DRAWN
    before, after = chance.gamma(2.0, 2.0, few + 1), chance.gamma(1.0, 1.0, few + 1)
    drawn = paired_speedup(before[:few].tolist(), after[:few].tolist())
    reckoned = paired_speedup(before.tolist(), after.tolist())
    assert drawn is not None
    assert reckoned is not None
    width = drawn.high - drawn.low
    assert reckoned.low == pytest.approx(drawn.low, abs=0.05 * width)
    assert reckoned.high == pytest.approx(drawn.high, abs=0.05 * width)


def test_a_share_of_many_clusters_stays_a_share() -> None:
    count = 3 * MOST_DRAWN
    right = [place > 0 for place in range(count)]
    found = clustered_share(right, [str(place) for place in range(count)])
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
