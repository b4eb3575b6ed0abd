"""The tie diagnostic: drafts that were a coin flip, which separability cannot see.

With r rivals exactly tied with the top token and the other K-1-r far below, S tends to
sqrt((K-1-r)/r): for K = 64 and one rival that is a confidence of 0.991, above the paper's 0.98.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.table import ScoredDraft, ScoreTable
from speceyes_cli.core.gate.decision import confidence_from_separability
from speceyes_cli.core.gate.token import TIE_MARGIN

NEAR_MARGIN = 0.1
"""Logits apart: nearer than this the second token has at least 47% of the two's probability."""


class TieFigures(BaseModel):
    """Ties among the drafts of one run."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    top_k: int
    """K of the run."""
    threshold: float | None
    """The run's bar; None: it had none."""
    tie_confidence: float
    """What an exact tie of two can reach at this K, under a separability gate."""
    passes: bool
    """Whether that exceeds the run's threshold."""
    drafts: int
    """Drafts with tokens."""
    tied: int
    """Drafts with a token whose first and second logit are less than 0.0001 apart."""
    nearly_tied: int
    """The same for less than 0.1 apart."""
    accepted_tied: int
    """Tied drafts above the threshold under the run's gate."""
    accepted_nearly_tied: int
    """Nearly tied drafts above it."""
    accepted_nearly_tied_right: int | None
    """Right ones among them; None when they were not judged."""


class Clearance(NamedTuple):
    """A draft's smallest gap between first and second logit, beside its confidence."""

    margin: float
    confidence: float
    right: bool | None


def tie_confidence(top_k: int, rivals: int = 1) -> float:
    """The highest confidence of a token exactly tied with `rivals` of its K-1; NaN if all are."""
    others = top_k - 1 - rivals
    return confidence_from_separability(math.sqrt(others / rivals)) if others > 0 else math.nan


def clearances(table: ScoreTable, values: Sequence[float]) -> list[Clearance]:
    """One entry for each draft with a defined margin and score, in the table's order."""
    return [
        Clearance(margin, value, sample.draft_right)
        for sample, value in zip(table.samples, values, strict=True)
        if sample.draft is not None
        and math.isfinite(value)
        and math.isfinite(margin := _lowest_margin(sample.draft))
    ]


def diagnose_run(table: ScoreTable, values: Sequence[float]) -> TieFigures:
    """The run's ties; `values` are the acceptable confidences under its own gate."""
    config = table.config
    top_k = config.top_k or 0
    bar = config.threshold
    drafts = [
        Clearance(_lowest_margin(sample.draft), value, sample.draft_right)
        for sample, value in zip(table.samples, values, strict=True)
        if sample.draft is not None and sample.draft.tokens
    ]
    near = [d for d in drafts if d.margin < NEAR_MARGIN and bar is not None and d.confidence > bar]
    limit = tie_confidence(top_k)
    known = all(d.right is not None for d in near)
    return TieFigures(
        top_k=top_k,
        threshold=bar,
        tie_confidence=0.5 if math.isnan(limit) else limit,
        passes=bar is not None and limit > bar,
        drafts=len(drafts),
        tied=sum(d.margin < TIE_MARGIN for d in drafts),
        nearly_tied=sum(d.margin < NEAR_MARGIN for d in drafts),
        accepted_tied=sum(d.margin < TIE_MARGIN for d in near),
        accepted_nearly_tied=len(near),
        accepted_nearly_tied_right=sum(d.right is True for d in near) if known else None,
    )


def _lowest_margin(draft: ScoredDraft) -> float:
    known = [token.margin for token in draft.tokens if not math.isnan(token.margin)]
    return min(known, default=math.nan)
