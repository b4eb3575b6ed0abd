"""How well each gate's confidence tells right drafts from wrong ones (paper, section 4.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.scores import (
    Named,
    Score,
    confidences,
    finite_scores,
    require_two_classes,
)
from speceyes_cli.analysis.table import ScoreTable
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.tables.intervals import CONFIDENCE, wilson

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995)
"""The paper's sweep, and looser ones."""
PERCENTILES = (5, 25, 50, 75, 95)
BINS = 10
"""Bins of the calibration, each with as many drafts but for ties: deciles of the confidence."""
GRID = 401
"""Points of a density."""
CURVE = 200
"""Points of a curve at most."""
WINDOW_SHARE = 0.1
"""Drafts in the rolling window, of all."""


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class AboveThreshold(_Figures):
    """The drafts whose confidence exceeds a threshold."""

    threshold: float
    n: int
    """Drafts above it."""
    coverage: float
    """Their share of all drafts."""
    accuracy: float | None
    """Right ones among them; None without any."""
    accuracy_low: float | None
    """Lower bound, Wilson's 95% interval."""
    accuracy_high: float | None
    """Upper bound."""


class CalibrationBin(_Figures):
    """Drafts of neighbouring confidence."""

    n: int
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """Right ones among them."""
    accuracy_low: float
    """Lower bound, Wilson's 95% interval."""
    accuracy_high: float
    """Upper bound."""


class GateFigures(_Figures):
    """One gate on the judged drafts of one run."""

    gate: str
    n: int
    """Drafts with a defined score."""
    n_right: int
    """Right ones among them."""
    auroc: float
    """Chance that a right draft scores higher than a wrong one; ties count half."""
    auroc_low: float
    """Lower bound, DeLong's 95% interval."""
    auroc_high: float
    """Upper bound."""
    aurc: float
    """Mean error rate over all coverages, surest drafts first."""
    aurc_best: float
    """The same of a score that puts every right draft first."""
    spearman: float
    """Rank correlation of score and correctness (Spearman)."""
    spearman_p: float | None
    """Two-sided p-value of no correlation, as if samples of one cluster were independent; None for
    fewer than three drafts."""
    mode_distance: float
    """Between the peaks of the two densities."""
    brier: float
    """Mean squared distance of confidence from correctness."""
    calibration_error: float
    """Mean distance of confidence from accuracy over the bins, by their size (ECE).

    It is above 0 by chance even where confidences are right: see the next figure."""
    calibration_error_debiased: float
    """The same less what chance alone adds."""
    percentiles_right: dict[int, float]
    """Confidence of right drafts."""
    percentiles_wrong: dict[int, float]
    """Confidence of wrong drafts."""
    above: tuple[AboveThreshold, ...]
    calibration: tuple[CalibrationBin, ...]


class Curves(NamedTuple):
    """What figures of one gate are drawn from; every pair is (x, y) of equal length."""

    right: tuple[Any, Any]
    """Confidence and density of right drafts."""
    wrong: tuple[Any, Any]
    """Confidence and density of wrong drafts."""
    rolling: tuple[Any, Any]
    """Rank from the least to the most sure, 0 to 1, and accuracy around it."""
    risk: tuple[Any, Any]
    """Coverage, and the error rate of the drafts it takes in."""


class GateAnalysis(NamedTuple):
    """Figures and curves of one gate."""

    figures: GateFigures
    curves: Curves


class JudgedDraft(NamedTuple):
    """The drafts that were judged."""

    places: tuple[int, ...]
    """Their places in the table's samples."""
    right: tuple[bool, ...]


def judged_drafts(table: ScoreTable) -> JudgedDraft:
    """The drafts with a verdict; `DataError` where only accepted ones were judged."""
    drafted = [i for i, sample in enumerate(table.samples) if sample.draft is not None]
    judged = [i for i in drafted if table.samples[i].draft_right is not None]
    if not drafted:
        raise DataError(
            f"{table.run} holds no draft: the method {table.config.method} asks the small model "
            "for none; run `speceyes eval --method draft`, or `eval --both-branches`."
        )
    if len(judged) < len(drafted):
        raise DataError(
            f"{table.run} judged {len(judged)} of its {len(drafted)} drafts, only the accepted "
            "ones, which tells nothing of the others; run `speceyes eval --method draft`, or "
            "`eval --both-branches`."
        )
    right = [table.samples[i].draft_right is True for i in judged]
    require_two_classes(table, right)
    return JudgedDraft(tuple(judged), tuple(right))


def analyze_gates(table: ScoreTable, scores: Mapping[str, Score]) -> dict[str, GateAnalysis]:
    """Every gate's figures; a gate that gives all drafts one score is left out.

    Raises `DataError` when drafts were not judged, all are right or wrong, or no gate is left.
    """
    judged = judged_drafts(table)
    found: dict[str, GateAnalysis] = {}
    useless: DataError | None = None
    for gate, score in scores.items():
        every = confidences(table, score)
        values = [every[i] for i in judged.places]
        try:
            finite_scores(table, values, gate)
            found[gate] = analyze_gate(table, gate, values, judged.right)
        except DataError as error:
            useless = useless or error
    if not found and useless is not None:
        raise useless
    return found


def analyze_gate(
    table: Named, gate: str, values: Sequence[float], rights: Sequence[bool]
) -> GateAnalysis:
    """Figures of drafts' scores under one gate; undefined scores are left out.

    Raises `DataError` when those left are all right or all wrong.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    known = ((v, r) for v, r in zip(values, rights, strict=True) if math.isfinite(v))
    pairs = sorted(known)  # so that no figure depends on the order of samples
    require_two_classes(table, (right for _, right in pairs))
    score = np.array([value for value, _ in pairs])
    right = np.array([right for _, right in pairs])
    grid = np.linspace(min(float(score.min()), 1.0), 1.0, GRID)
    of_right, of_wrong = _density(score[right], grid), _density(score[~right], grid)
    risk = risk_by_coverage(score, right)
    area = _auroc(score, right)
    bins = _bins(score, right)
    rank = _spearman(score, right)
    figures = GateFigures(
        gate=gate,
        n=len(score),
        n_right=int(right.sum()),
        auroc=area[0],
        auroc_low=area[1],
        auroc_high=area[2],
        aurc=float(risk.mean()),
        aurc_best=float(risk_by_coverage(right.astype(float), right).mean()),
        spearman=rank.statistic,
        spearman_p=None if math.isnan(rank.pvalue) else rank.pvalue,
        mode_distance=float(abs(grid[of_right.argmax()] - grid[of_wrong.argmax()])),
        brier=float(((score - right) ** 2).mean()),
        calibration_error=sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / len(score),
        calibration_error_debiased=_debiased(bins),
        percentiles_right={p: float(np.percentile(score[right], p)) for p in PERCENTILES},
        percentiles_wrong={p: float(np.percentile(score[~right], p)) for p in PERCENTILES},
        above=tuple(_above(score, right, threshold) for threshold in THRESHOLDS),
        calibration=bins,
    )
    coverage = np.arange(1, len(score) + 1) / len(score)
    curves = Curves(
        right=(grid, of_right),
        wrong=(grid, of_wrong),
        rolling=_thin(*_rolling(score, right)),
        risk=_thin(coverage, risk),
    )
    return GateAnalysis(figures, curves)


def _auroc(score: Any, right: Any) -> tuple[float, float, float]:
    """The area with its interval (DeLong, DeLong and Clarke-Pearson, 1988)."""
    from statistics import NormalDist  # noqa: PLC0415 - beside its like

    import numpy as np  # noqa: PLC0415 - slow to import
    from scipy.stats import rankdata  # noqa: PLC0415 - the same

    ranks = rankdata(score)
    n_right, n_wrong = int(right.sum()), int((~right).sum())
    beaten = (ranks[right] - rankdata(score[right])) / n_wrong
    beating = 1 - (ranks[~right] - rankdata(score[~right])) / n_right
    area = float(beaten.mean())
    parts = [
        np.var(part, ddof=1) / len(part) if len(part) > 1 else 0.25 for part in (beaten, beating)
    ]
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(sum(parts))
    return area, max(0.0, area - reach), min(1.0, area + reach)


def _spearman(score: Any, right: Any) -> Any:
    from scipy.stats import spearmanr  # noqa: PLC0415 - slow to import

    return spearmanr(score, right)


def risk_by_coverage(score: Any, right: Any) -> Any:
    """Error rate of the k surest drafts for k = 1..n; equal scores come in any order alike."""
    import numpy as np  # noqa: PLC0415 - slow to import

    _, group, sizes = np.unique(-score, return_inverse=True, return_counts=True)
    wrong = np.bincount(group, weights=~right)
    per_place = np.repeat(wrong / sizes, sizes)
    return np.cumsum(per_place) / np.arange(1, len(score) + 1)


def _rolling(score: Any, right: Any) -> tuple[Any, Any]:
    """Accuracy in a window that moves from the least to the most sure; equal scores are pooled."""
    import numpy as np  # noqa: PLC0415 - slow to import

    _, group, sizes = np.unique(score, return_inverse=True, return_counts=True)
    ordered = np.repeat(np.bincount(group, weights=right) / sizes, sizes)
    window = max(1, min(len(ordered), max(10, round(WINDOW_SHARE * len(ordered)))))
    summed = np.concatenate([[0.0], np.cumsum(ordered)])
    means = (summed[window:] - summed[:-window]) / window
    middle = (np.arange(len(means)) + (window - 1) / 2) / max(1, len(ordered) - 1)
    return middle, means


def _density(values: Any, grid: Any) -> Any:
    """Gaussian kernel density on 0..1 (Silverman's width), reflected at both ends."""
    import numpy as np  # noqa: PLC0415 - slow to import

    quartiles = np.subtract(*np.percentile(values, [75, 25])) / 1.349
    spread = min(float(np.std(values)), float(quartiles)) or float(np.std(values))
    step = float(grid[1] - grid[0])
    width = max(0.9 * spread * len(values) ** -0.2, 2 * step)
    total = np.zeros_like(grid)
    for centres in (values, -values, 2 - values):
        for part in np.array_split(centres, max(1, len(centres) // 2048)):
            total += np.exp(-0.5 * ((grid[:, None] - part[None, :]) / width) ** 2).sum(axis=1)
    return total / (len(values) * width * math.sqrt(2 * math.pi))


def _bins(score: Any, right: Any) -> tuple[CalibrationBin, ...]:
    """Tenths of the drafts by rank; equal scores share the middle of their ranks, so one bin."""
    import numpy as np  # noqa: PLC0415 - slow to import
    from scipy.stats import rankdata  # noqa: PLC0415 - the same

    doubled = np.round(2 * rankdata(score)).astype(int) - 1  # in halves of a rank, so exact
    place = np.minimum(doubled * BINS // (2 * len(score)), BINS - 1)
    found = []
    for part in (np.flatnonzero(place == tenth) for tenth in np.unique(place)):
        share = wilson(int(right[part].sum()), len(part))
        assert share is not None  # noqa: S101 - no part is empty
        found.append(
            CalibrationBin(
                n=len(part),
                confidence=float(score[part].mean()),
                accuracy=share.value,
                accuracy_low=share.low,
                accuracy_high=share.high,
            )
        )
    return tuple(found)


def _debiased(bins: Sequence[CalibrationBin]) -> float:
    """The calibration error less what chance alone adds to each bin's distance.

    A bin's accuracy is taken for normal around the true one; of its distance d with deviation s the
    mean of |d + noise| exceeds |d|, and as much is taken off (Kumar, Liang and Ma, "Verified
    uncertainty calibration", 2019). Not below 0.
    """
    from statistics import NormalDist  # noqa: PLC0415 - beside its like

    total = 0.0
    for row in bins:
        apart = abs(row.confidence - row.accuracy)
        spread = math.sqrt(row.accuracy * (1 - row.accuracy) / max(1, row.n - 1))
        seen = apart
        if spread > 0:
            seen = spread * math.sqrt(2 / math.pi) * math.exp(-((apart / spread) ** 2) / 2)
            seen += apart * (1 - 2 * NormalDist().cdf(-apart / spread))
        total += row.n * (2 * apart - seen)
    return max(0.0, total / sum(row.n for row in bins))


def _above(score: Any, right: Any, threshold: float) -> AboveThreshold:
    over = score > threshold
    n = int(over.sum())
    share = wilson(int(right[over].sum()), n)
    return AboveThreshold(
        threshold=threshold,
        n=n,
        coverage=n / len(score),
        accuracy=share.value if share else None,
        accuracy_low=share.low if share else None,
        accuracy_high=share.high if share else None,
    )


def _thin(across: Any, up: Any) -> tuple[Any, Any]:
    """At most `CURVE` points, both ends kept."""
    import numpy as np  # noqa: PLC0415 - slow to import

    kept = np.unique(np.linspace(0, len(across) - 1, CURVE).round().astype(int))
    return across[kept], up[kept]
