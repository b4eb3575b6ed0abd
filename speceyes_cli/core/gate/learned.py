"""A learned gate's score: a logistic model over figures of the whole draft.

Each feature is larger the surer the model was, so with coefficients of at least 0 the score never
falls where a token stands further clear; the length alone may count either way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from speceyes_cli.core.gate.decision import sigmoid
from speceyes_cli.core.gate.scores import ROUNDING
from speceyes_cli.core.gate.token import Statistic, TokenScore

SUREST_LOG_ODDS = 20.0
"""Log-odds end here: of a probability nearer to 1 only rounding is left."""


class Feature(NamedTuple):
    """One figure of a draft."""

    needs: Statistic
    """The statistic of each token that it reads."""
    value: Callable[[Sequence[float]], float]
    """From the tokens' statistics, at least one and all finite."""
    monotone: bool = True
    """A larger value is never held against the draft."""


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _log_odds(logprob: float) -> float:
    """ln(p / (1 - p))."""
    rest = -math.expm1(min(0.0, logprob))
    return min(SUREST_LOG_ODDS, logprob - math.log(rest)) if rest > 0 else SUREST_LOG_ODDS


FEATURES: Mapping[str, Feature] = {
    "least_separability": Feature("separability", min),
    "mean_separability": Feature("separability", _mean),
    "least_log_odds": Feature("logprob", lambda values: _log_odds(min(values))),
    "draft_log_odds": Feature("logprob", lambda values: _log_odds(math.fsum(values))),
    "least_margin": Feature("margin", min),
    "mean_margin": Feature("margin", _mean),
    "greatest_entropy": Feature("entropy", lambda values: -max(values)),
    "mean_entropy": Feature("entropy", lambda values: -_mean(values)),
    "length": Feature("logprob", lambda values: math.log(len(values)), monotone=False),
}
"""Every feature by name. Entropies are negated; the length is the logarithm of the tokens."""


@dataclass(frozen=True, slots=True)
class LogisticScore:
    """A gate's score: the chance that the draft is right, as a logistic model has it."""

    intercept: float
    coefficients: Mapping[str, float]
    """By feature."""

    def __call__(self, scores: Sequence[TokenScore]) -> float:
        """A confidence in 0..1 from at least one token; NaN where a feature is undefined."""
        values = feature_values(self.coefficients, scores)
        if values is None:
            return math.nan
        weighted = zip(self.coefficients.values(), values, strict=True)
        return sigmoid(self.intercept + math.fsum(weight * value for weight, value in weighted))

    @property
    def needs(self) -> tuple[Statistic, ...]:
        """The statistics of each token that it reads."""
        return tuple(dict.fromkeys(FEATURES[name].needs for name in self.coefficients))


def feature_values(names: Iterable[str], scores: Sequence[TokenScore]) -> list[float] | None:
    """The features of a draft of at least one token; None where a statistic is undefined."""
    read: dict[Statistic, list[float]] = {}
    values = []
    for name in names:
        needs, value, _ = FEATURES[name]
        if needs not in read:
            read[needs] = [getattr(score, needs) for score in scores]
            if not all(_defined(needs, figure) for figure in read[needs]):
                return None
        values.append(value(read[needs]))
    return values


def _defined(statistic: Statistic, figure: float) -> bool:
    if not math.isfinite(figure):
        return False
    return statistic != "logprob" or figure <= ROUNDING
