"""How one generated token stood among its rivals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

Statistic = Literal["separability", "logprob", "margin", "entropy", "rivals"]
"""A figure of `TokenScore` that a gate may need and an engine may give."""
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
FIGURES: tuple[Statistic, ...] = ("separability", "logprob", "margin", "entropy")
"""The statistics that are one number a token, given whether or not a gate asks for rivals."""
TIE_MARGIN = 1e-4
"""Logits apart: nearer than this is a tie, or a tie blurred by a server's rounding."""


class TokenScore(NamedTuple):
    """How one generated token stood among its rivals; plain floats, NaN where undefined."""

    separability: float
    """(z1 - mean(z2..zK)) / (popstd(z2..zK) + 1e-6), in standard deviations."""
    logprob: float
    """Natural log of the top token's probability over the whole vocabulary."""
    margin: float
    """z1 - z2, in logits."""
    entropy: float
    """Entropy of the renormalised top-K distribution, in nats."""
    fault: str = ""
    """Why the figures are undefined: "nan", "infinite" or "too_few" finite logits."""
    rivals: tuple[float, ...] = ()
    """z1 - z2, z1 - z3, … in logits, where the gate keeps them: what any smaller K follows from."""


def score_fields(score: TokenScore) -> dict[str, Any]:
    """The score as fields of JSON values: None where a figure is undefined."""
    return {name: _known(value) for name, value in score._asdict().items()}


def score_from(fields: object) -> TokenScore:
    """The score from an object whose attributes are such fields: NaN where a figure is undefined.

    What is not finite comes back as NaN, which no gate accepts either.
    """
    values = (getattr(fields, name) for name in TokenScore._fields)
    return TokenScore._make(math.nan if value is None else value for value in values)


def within(scores: Sequence[TokenScore], k: int) -> list[TokenScore]:
    """The scores with no more rivals than the K - 1 that a gate of this K looks at."""
    return [
        score if len(score.rivals) < k else score._replace(rivals=score.rivals[: k - 1])
        for score in scores
    ]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_tied(scores: Iterable[TokenScore]) -> bool:
    """Whether a tie of the two largest logits decided a token: batch and kernel decide the text."""
    return any(score.margin < TIE_MARGIN for score in scores)
