"""Confidence intervals and paired tests: Wilson, the paired bootstrap, McNemar's exact test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

CONFIDENCE = 0.95
MIN_CLUSTERS = 10
"""With fewer, resampling clusters tells nothing."""
RESAMPLES = 2_000
MOST_DRAWN = 2_000
"""Units, samples or clusters, that are drawn again; of more the spread is reckoned, to the same."""
SEED = 0


class Interval(NamedTuple):
    """A share or ratio between its bounds, at 95% confidence."""

    value: float
    low: float
    high: float


def wilson(right: int, total: int) -> Interval | None:
    """The share of `right` in `total` with Wilson's interval; None without samples."""
    if total == 0:
        return None
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, weight = right / total, z * z / total
    middle = (share + weight / 2) / (1 + weight)
    reach = math.sqrt(share * (1 - share) * weight + weight * weight / 4) / (1 + weight)
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    return Interval(share, min(low, share), max(high, share))  # they differ by rounding at 0 and 1


def paired_speedup(
    baseline: Sequence[float], seconds: Sequence[float], clusters: Sequence[str] | None = None
) -> Interval | None:
    """Mean baseline time over mean time, samples paired, with a bootstrap interval.

    Both hold seconds of the same samples in the same order. With `clusters`, one for each sample,
    clusters are drawn in place of samples. None without samples or time.
    """
    if not seconds or sum(seconds) <= 0:
        return None
    return _bootstrap_ratio(baseline, seconds, clusters)


def clustered_share(right: Sequence[bool], clusters: Sequence[str]) -> Interval | None:
    """The share of `right` with a bootstrap interval over clusters; None without samples."""
    if not right:
        return None
    found = _bootstrap_ratio([float(one) for one in right], [1.0] * len(right), clusters)
    return found._replace(low=max(0.0, found.low), high=min(1.0, found.high))


def share_right(right: Sequence[bool], clusters: Sequence[str] | None) -> Interval | None:
    """The share of `right`: by clusters where there are any, else with Wilson's interval."""
    if clusters is None:
        return wilson(sum(right), len(right))
    if sum(right) in (0, len(right)):  # resampling would find no spread at all
        count = len(set(clusters))
        return wilson(count if right[0] else 0, count)
    return clustered_share(right, clusters)


def usable_clusters(names: Sequence[str]) -> Sequence[str] | None:
    """Each sample's cluster; None where no two samples share one, or there are too few."""
    return names if MIN_CLUSTERS <= len(set(names)) < len(names) else None


def _bootstrap_ratio(
    above: Sequence[float], below: Sequence[float], clusters: Sequence[str] | None
) -> Interval:
    """The ratio of two sums, and its spread when samples, or whole clusters, are drawn again."""
    import numpy as np  # noqa: PLC0415 - slow to import, needed at the end

    top, bottom = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    value = float(top.sum() / bottom.sum())
    if clusters is not None:
        _, places = np.unique(np.asarray(clusters), return_inverse=True)
        top, bottom = np.bincount(places, weights=top), np.bincount(places, weights=bottom)
    if len(bottom) > MOST_DRAWN:
        return _by_delta_method(value, top, bottom)
    generator = np.random.default_rng(SEED)
    drawn = (generator.integers(len(bottom), size=len(bottom)) for _ in range(RESAMPLES))
    sums = ((top[places].sum(), bottom[places].sum()) for places in drawn)
    ratios = [above / below for above, below in sums if below > 0]  # else no time was drawn
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def _by_delta_method(value: float, top: Any, bottom: Any) -> Interval:
    """The ratio of two sums of many independent units, its error that of a linear approximation."""
    count = len(bottom)
    variance = float(((top - value * bottom) ** 2).sum()) * count / (count - 1)
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(variance) / float(bottom.sum())
    return Interval(value, value - reach, value + reach)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """The exact two-sided p of McNemar's test that two methods are right equally often.

    Both hold verdicts on the same samples in the same order; 1.0 when they never differ.
    """
    gained = sum(after and not before for before, after in zip(first, second, strict=True))
    lost = sum(before and not after for before, after in zip(first, second, strict=True))
    differing = gained + lost
    tail, ways = 0, 1  # of choosing `rarer` among those that differ
    for rarer in range(min(gained, lost) + 1):
        tail += ways
        ways = ways * (differing - rarer) // (rarer + 1)
    return float(min(1.0, 2 * tail / 2**differing))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which `share` of the values lie, interpolated; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
