"""Confidences of a run's drafts under any gate and any K that the run's records reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from speceyes_cli.analysis.table import ScoreTable
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.gate.defaults import REJECT
from speceyes_cli.core.gate.token import FIGURES, STATISTICS, Statistic, TokenScore

if TYPE_CHECKING:
    from speceyes_cli.core.run.columns import Tokens

Score = Callable[[Sequence[TokenScore]], float]
"""A gate's score: one confidence in 0..1 from at least one token, NaN when undefined."""
SPREAD_FLOOR = 1e-6  # paper, equation 4
SMALLEST_K = 2
_OF_GAPS = ("separability", "margin", "entropy")
"""The figures that follow from the gaps of a token's rivals."""
_CHUNK = 8_192
"""Tokens whose gaps are looked at together."""


class Named(Protocol):
    """Whatever has a run's name, for what is said of it."""

    @property
    def run(self) -> str:
        """The name."""


def largest_k(table: ScoreTable) -> int | None:
    """The largest K that every draft's kept logits reach; None where the run kept none."""
    import numpy as np  # noqa: PLC0415 - slow to import

    kept = np.diff(table.columns.tokens.first_rival)[table.told_tokens]
    least = int(kept.min()) + 1 if len(kept) else 0
    return least if least >= SMALLEST_K else None


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


def confidences(
    table: ScoreTable, score: Score, k: int | None = None, *, rivals: bool = True
) -> list[float]:
    """Each sample's confidence under a gate at K (None: the run's own).

    NaN where it is undefined or there is no draft. `rivals` says whether the gate reads them, which
    takes its time. Raises `UsageError` for a K out of reach.
    """
    own = table.config.top_k
    columns, tokens = table.columns, table.columns.tokens
    if k is not None and k != own:
        check_top_k(table, k)
        tokens = tokens_at(table, k)
    looked_at = own if k is None else k
    most = None if looked_at is None else looked_at - 1

    def confidence(place: int) -> float:
        draft = columns.token_scores(place, most if rivals else 0, tokens)
        return score(draft) if draft else math.nan

    return [confidence(sample.place) for sample in table.samples]


def acceptable(table: ScoreTable, values: Sequence[float]) -> list[float]:
    """The confidences as the gate weighs them: -inf where it accepts at no threshold.

    That is a draft with an undefined confidence, one cut by its token limit, an empty one, or one
    that a tie decided where the run rejects these.
    """
    rejects = table.config.tie_policy == REJECT
    return [
        value
        if sample.draft is not None
        and sample.draft.complete
        and not (rejects and sample.draft.tied)
        and not math.isnan(value)
        else -math.inf
        for sample, value in zip(table.samples, values, strict=True)
    ]


def tokens_at(table: ScoreTable, k: int) -> Tokens:
    """The tokens with their figures at another K, from the gaps that were kept."""
    import numpy as np  # noqa: PLC0415 - slow to import

    tokens = table.columns.tokens
    figures = {name: getattr(tokens, name).copy() for name in _OF_GAPS}
    told = np.flatnonzero(table.told_tokens)
    for start in range(0, len(told), _CHUNK):
        part = told[start : start + _CHUNK]
        gaps = tokens.rivals[tokens.first_rival[part][:, None] + np.arange(k - 1)]
        for kept, values in zip(figures.values(), _figures(gaps), strict=True):
            kept[part] = values
    return tokens._replace(**figures)


def rescore(token: TokenScore, k: int) -> TokenScore:
    """The token's figures at another K, from the gaps that were kept."""
    import numpy as np  # noqa: PLC0415 - slow to import

    if token.fault:
        return token
    gaps = token.rivals[: k - 1]
    figures = (float(values[0]) for values in _figures(np.array([gaps])))
    separability, margin, entropy = figures
    return token._replace(separability=separability, margin=margin, entropy=entropy, rivals=gaps)


def _figures(gaps: Any) -> tuple[Any, Any, Any]:
    """Separability (paper, equation 4), margin and entropy of tokens by their rivals' gaps.

    `gaps` has shape (tokens, K - 1), in logits; each figure has shape (tokens,).
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    weights = np.exp(-gaps)
    total = 1.0 + weights.sum(axis=1)
    entropy = np.log(total) + (gaps * weights).sum(axis=1) / total
    return gaps.mean(axis=1) / (gaps.std(axis=1) + SPREAD_FLOOR), gaps[:, 0], entropy


def finite_scores(table: Named, values: Iterable[float], gate: str) -> list[float]:
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


def require_two_classes(table: Named, rights: Iterable[bool]) -> None:
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
    import numpy as np  # noqa: PLC0415 - slow to import

    told, tokens = table.told_tokens, table.columns.tokens
    if not told.any():
        return STATISTICS
    known = {name: ~np.isnan(getattr(tokens, name)) for name in FIGURES}
    known["rivals"] = np.diff(tokens.first_rival) > 0
    return tuple(name for name in STATISTICS if known[name][told].any())
