"""Do today's scores still look like the calibration's?

Two comparisons: the confidences of the drafts that the screen let on (the Kolmogorov-Smirnov
distance between their distributions), and the share of samples whose draft stands. Both p-values
are exact for exchangeable clusters: clusters are dealt anew between the two runs, whole, and the
distance is measured again. Bonferroni joins the two.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.certificate import Certificate
from speceyes_cli.analysis.learned.parts import group_names
from speceyes_cli.analysis.replay import accepts, screen_passed
from speceyes_cli.analysis.table import ScoreTable
from speceyes_cli.core.errors import DataError, UsageError

DEALS = 4_000
"""Times the clusters are dealt anew; the smallest p-value is one in so many."""
SEED = 0
FEWEST = 20
"""Drafts below which no drift worth the name could be seen."""
COMPARISONS = 2


class Drift(BaseModel):
    """Today's run beside the calibration."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    run: str
    """Today's run."""
    gate: str
    """The score compared."""
    threshold: float
    """Where accepted shares are compared: the certified threshold, or a higher `floor`."""
    drafts_then: int
    """Drafts of the calibration that the screen let on."""
    drafts_now: int
    """Drafts of today's run that the screen let on."""
    floor: float | None
    """Confidences at or below this count as equal: today's run cut such drafts short."""
    distance: float
    """Largest gap between the two distributions of confidence, 0 to 1."""
    distance_p: float
    """Chance of such a gap without drift."""
    accepted_then: float
    """Share of the calibration's samples whose draft stood at the threshold."""
    accepted_now: float
    """The same share today."""
    accepted_p: float
    """Chance of such a difference without drift."""
    false_alarm: float
    """Chance of a false alarm that was allowed."""
    drifted: bool
    """Whether either p-value is below half of it."""


class _Group(NamedTuple):
    """One cluster of one run."""

    scores: tuple[float, ...]
    samples: int
    accepted: int


def check_false_alarm(chance: float) -> None:
    """Raise `UsageError` for a chance that is no probability, or finer than the test can tell."""
    least = COMPARISONS / (1 + DEALS)
    if not least < chance < 1:
        raise UsageError(
            f"--false-alarm is a probability above {least:.2g} and below 1, not {chance:g}."
        )


def compare(
    certificate: Certificate, table: ScoreTable, values: Sequence[float], false_alarm: float
) -> Drift:
    """Compare a run's acceptable confidences under the certificate's gate and K with its own.

    Raises `DataError` when either side has too few drafts to see anything, and `UsageError` when
    the run cannot tell its confidences under that gate.
    """
    floor = _floor(certificate, table)
    bar = max(certificate.threshold, floor)
    then, now = _then(certificate, floor, bar), _now(table, values, floor, bar)
    drafts_then, drafts_now = (sum(len(group.scores) for group in side) for side in (then, now))
    for name, drafts in ((certificate.run, drafts_then), (table.run, drafts_now)):
        if drafts < FEWEST:
            raise DataError(
                f"{name} has {drafts} drafts that the screen let on; at least {FEWEST} are needed "
                "to tell a drift from chance."
            )
    distance, distance_p, accepted_p = _deal(then, now)
    return Drift(
        run=table.run,
        gate=certificate.gate,
        threshold=bar,
        drafts_then=drafts_then,
        drafts_now=drafts_now,
        floor=None if floor == -math.inf else floor,
        distance=distance,
        distance_p=distance_p,
        accepted_then=_rate(then),
        accepted_now=_rate(now),
        accepted_p=accepted_p,
        false_alarm=false_alarm,
        drifted=min(distance_p, accepted_p) * COMPARISONS < false_alarm,
    )


def _floor(certificate: Certificate, table: ScoreTable) -> float:
    """A run that ends hopeless drafts early knows of them only that they are not above its bar.

    Under another gate it knows nothing of them: `UsageError`.
    """
    config = table.config
    cut = any(s.draft is not None and s.draft.finish == "rejected" for s in table.samples)
    if not cut or config.threshold is None:
        return -math.inf
    if (config.gate, config.top_k) != (certificate.gate, certificate.top_k):
        raise UsageError(
            f"{table.run} ended drafts early that could not pass its own gate, {config.gate} at "
            f"K = {config.top_k}, so it cannot tell how they stand under the certificate's, "
            f"{certificate.gate} at K = {certificate.top_k}; run it with that one, or with "
            "--both-branches."
        )
    return config.threshold


def _then(certificate: Certificate, floor: float, bar: float) -> list[_Group]:
    """The calibration's clusters; samples that the screen held back are one more, without score."""
    groups = []
    for scores in certificate.scores:
        known = [-math.inf if score is None else score for score in scores]
        stand = sum(score > bar for score in known)
        groups.append(_Group(tuple(max(score, floor) for score in known), len(known), stand))
    held = certificate.samples - sum(group.samples for group in groups)
    return groups + [_Group((), 1, 0)] * held


def _now(table: ScoreTable, values: Sequence[float], floor: float, bar: float) -> list[_Group]:
    clusters: dict[str, list[tuple[Any, float]]] = defaultdict(list)
    for group, sample, value in zip(group_names(table.samples), table.samples, values, strict=True):
        clusters[group].append((sample, value))
    return [
        _Group(
            tuple(max(value, floor) for sample, value in members if screen_passed(sample)),
            len(members),
            sum(accepts(sample, value, bar) for sample, value in members),
        )
        for members in clusters.values()
    ]


def _rate(side: Sequence[_Group]) -> float:
    return sum(group.accepted for group in side) / sum(group.samples for group in side)


def _deal(then: Sequence[_Group], now: Sequence[_Group]) -> tuple[float, float, float]:
    """The distance, its p-value and that of the difference between accepted shares."""
    import numpy as np  # noqa: PLC0415 - slow to import

    groups = [*then, *now]
    scores = np.array([score for group in groups for score in group.scores])
    owner = np.array([i for i, group in enumerate(groups) for _ in group.scores])
    order = np.argsort(scores, kind="stable")
    ranked, owner = scores[order], owner[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # ties are passed in one step
    sizes = np.array([group.samples for group in groups])
    stood = np.array([group.accepted for group in groups])

    def measure(first: Any) -> tuple[float, float]:
        mine = first[owner]
        a, b = mine.sum(), (~mine).sum()
        gaps = np.cumsum(np.where(mine, 1 / max(a, 1), -1 / max(b, 1)))[last]
        shares = (stood[side].sum() / max(sizes[side].sum(), 1) for side in (first, ~first))
        one, other = shares
        return float(np.abs(gaps).max()), float(abs(one - other))

    first = np.arange(len(groups)) < len(then)
    distance, difference = measure(first)
    generator = np.random.default_rng(SEED)
    dealt = [measure(generator.permutation(first)) for _ in range(DEALS)]
    slack = 1e-9  # equal gaps may differ by rounding
    p_values = [
        (1 + sum(other >= found - slack for other in column)) / (1 + DEALS)
        for found, column in zip((distance, difference), zip(*dealt, strict=True), strict=True)
    ]
    return distance, p_values[0], p_values[1]
