"""Confidences of a run's drafts under any gate and any K that the run's records reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from speceyes_cli.analysis.table import ScoredDraft, ScoreTable
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.token import STATISTICS, Statistic, TokenScore, within

Score = Callable[[Sequence[TokenScore]], float]
"""A gate's score: one confidence in 0..1 from at least one token, NaN when undefined."""
SPREAD_FLOOR = 1e-6  # paper, equation 4
SMALLEST_K = 2


def largest_k(table: ScoreTable) -> int | None:
    """The largest K that every draft's kept logits reach; None where the run kept none."""
    kept = [
        len(token.rivals) + 1
        for sample in table.samples
        if sample.draft is not None
        for token in sample.draft.tokens
        if not token.fault
    ]
    return min(kept) if kept and min(kept) >= SMALLEST_K else None


def check_top_k(table: ScoreTable, k: int) -> None:
    """Raise `UsageError` when the run's records cannot tell this K."""
    own, most = table.config.top_k, largest_k(table)
    if k == own or (most is not None and SMALLEST_K <= k <= most):
        return
    kept = f"K = {own}" if most is None else f"any K from {SMALLEST_K} to {most}"
    raise UsageError(
        f"{table.run} cannot tell K = {k}: its records keep what {kept} needs"
        + ("; eval --both-branches keeps more." if most is None else ".")
    )


def confidences(table: ScoreTable, score: Score, k: int | None = None) -> list[float]:
    """Each sample's confidence under a gate at K (None: the run's own).

    NaN where it is undefined or there is no draft. Raises `UsageError` for a K out of reach.
    """
    own = table.config.top_k
    other = None if k == own else k
    if other is not None:
        check_top_k(table, other)

    def confidence(draft: ScoredDraft | None) -> float:
        if draft is None or not draft.tokens:
            return math.nan
        if other is not None:
            return score([rescore(token, other) for token in draft.tokens])
        return score(draft.tokens if own is None else within(draft.tokens, own))

    return [confidence(sample.draft) for sample in table.samples]


def acceptable(table: ScoreTable, values: Sequence[float]) -> list[float]:
    """The confidences as the gate weighs them: -inf where it accepts at no threshold.

    That is a draft with an undefined confidence, one cut by its token limit, or an empty one.
    """
    return [
        value
        if sample.draft is not None and sample.draft.complete and not math.isnan(value)
        else -math.inf
        for sample, value in zip(table.samples, values, strict=True)
    ]


def rescore(token: TokenScore, k: int) -> TokenScore:
    """The token's figures at another K, from the gaps that were kept; paper, equation 4."""
    if token.fault:
        return token
    gaps = token.rivals[: k - 1]
    mean = math.fsum(gaps) / len(gaps)
    deviation = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    weights = [1.0, *(math.exp(-gap) for gap in gaps)]
    total = math.fsum(weights)
    entropy = (
        math.log(total)
        + math.fsum(gap * weight for gap, weight in zip(gaps, weights[1:], strict=True)) / total
    )
    return token._replace(
        separability=mean / (deviation + SPREAD_FLOOR),
        margin=gaps[0],
        entropy=entropy,
        rivals=gaps,
    )


def finite_scores(table: ScoreTable, values: Iterable[float], gate: str) -> list[float]:
    """The defined confidences; `DataError` when none is, or all are the same."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        raise DataError(
            f"{table.run} has no draft with a defined {gate} score, so there is nothing to "
            "analyze; a run of the method speceyes or draft has them."
        )
    if min(known) == max(known):
        raise DataError(
            f"All {len(known)} drafts of {table.run} have the same {gate} score, {known[0]:g}: "
            "no threshold can tell them apart."
        )
    return known


def require_two_classes(table: ScoreTable, rights: Iterable[bool]) -> None:
    """Raise `DataError` when all answers are right, or all are wrong."""
    found = set(rights)
    if len(found) < len((True, False)):
        what = "right" if found == {True} else "wrong"
        raise DataError(
            f"All judged drafts of {table.run} are {what}, so no score can be said to tell right "
            "from wrong; take more samples, or harder ones."
        )


def given(table: ScoreTable) -> tuple[Statistic, ...]:
    """The statistics that the run's engine gave; all of them where no token tells."""
    tokens = [
        token
        for sample in table.samples
        if sample.draft is not None
        for token in sample.draft.tokens
        if not token.fault
    ]
    if not tokens:
        return STATISTICS
    return tuple(
        name
        for name in STATISTICS
        if any(
            token.rivals if name == "rivals" else not math.isnan(getattr(token, name))
            for token in tokens
        )
    )
