"""The scores: ways to turn a draft's token statistics into one confidence in 0..1.

Every score takes at least one token, and gives NaN when any token's value is undefined: a NaN
never exceeds a threshold, so such a draft is never accepted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from speceyes_cli.core.gate.decision import confidence_from_separability
from speceyes_cli.core.gate.token import TIE_MARGIN, TokenScore

BOTTOM_SHARE = 0.2  # paper, section 3.3: the lowest fifth of the tokens
ROUNDING = 1e-9
"""Slack that keeps early rejection on the safe side of floating-point sums."""


def min_score(scores: Sequence[TokenScore]) -> float:
    """sigmoid(0.6 S) of the least separable token: one coin flip spoils the draft."""
    return _confidence([score.separability for score in scores], min)


def mean_score(scores: Sequence[TokenScore]) -> float:
    """sigmoid(0.6 S) of the mean separability."""
    return _confidence([score.separability for score in scores], _mean)


def bottom20_score(scores: Sequence[TokenScore]) -> float:
    """sigmoid(0.6 S) of the mean over the max(1, int(0.2 n)) lowest separabilities."""
    lowest = max(1, int(BOTTOM_SHARE * len(scores)))
    return _confidence(
        [score.separability for score in scores], lambda values: _mean(sorted(values)[:lowest])
    )


def log_score(scores: Sequence[TokenScore]) -> float:
    """Geometric mean of the top token's probability."""
    logprobs = [score.logprob for score in scores]
    if any(math.isnan(value) or value > ROUNDING for value in logprobs):
        return math.nan
    return min(1.0, math.exp(_mean(logprobs)))


def margin_score(scores: Sequence[TokenScore]) -> float:
    """Sigmoid of the smallest gap between first and second logit: p1 / (p1 + p2) at its worst."""
    margins = [score.margin for score in scores]
    if not all(math.isfinite(value) and value >= 0 for value in margins):
        return math.nan
    return 1.0 / (1.0 + math.exp(-min(margins)))


def entropy_score(scores: Sequence[TokenScore]) -> float:
    """exp(-mean entropy): one over the number of tokens the model effectively chose among."""
    entropies = [score.entropy for score in scores]
    if not all(math.isfinite(value) and value >= -ROUNDING for value in entropies):
        return math.nan
    return min(1.0, math.exp(-_mean(entropies)))


class TieDiagnostic(NamedTuple):
    """What separability cannot see: with K = 64 a tie of two can pass 0.98.

    With r rivals tied with the top token and the other K - 1 - r far below, S tends to
    sqrt((K - 1 - r) / r): K = 64, r = 1 gives confidence 0.991.
    """

    tied_tokens: int
    """Tokens whose first and second logit are less than `TIE_MARGIN` apart."""
    lowest_margin: float
    """The smallest gap between first and second logit; NaN without tokens."""
    lowest_probability: float
    """The smallest probability of a top token; NaN without tokens."""


def diagnose_ties(scores: Sequence[TokenScore]) -> TieDiagnostic:
    """The tie diagnostic of one draft; undefined values are left out."""
    margins = [score.margin for score in scores if not math.isnan(score.margin)]
    logprobs = [score.logprob for score in scores if not math.isnan(score.logprob)]
    return TieDiagnostic(
        tied_tokens=sum(margin < TIE_MARGIN for margin in margins),
        lowest_margin=min(margins, default=math.nan),
        lowest_probability=math.exp(min(0.0, *logprobs)) if logprobs else math.nan,
    )


def _confidence(values: list[float], aggregate: Callable[[list[float]], float]) -> float:
    if any(math.isnan(value) or value == math.inf for value in values):
        return math.nan
    return confidence_from_separability(aggregate(values))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
