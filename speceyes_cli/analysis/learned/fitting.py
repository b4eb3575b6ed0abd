"""Fitting a learned gate: a logistic model whose coefficients may not fall below 0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.gate.learned import FEATURES, feature_values
from speceyes_cli.core.gate.token import Statistic, TokenScore

PENALTY = 1.0
"""The usual ridge: half of it times the sum of squared standardised coefficients."""
FEWEST = 10
"""Right drafts, and wrong ones, without which no model is fitted."""


SAME = 1e-9
"""Of its size: a feature that varies by less is constant but for rounding."""


class Example(NamedTuple):
    """One draft to learn from."""

    tokens: Sequence[TokenScore]
    right: bool


class Fitted(NamedTuple):
    """A logistic model of raw features."""

    intercept: float
    coefficients: Mapping[str, float]
    left_out: tuple[str, ...]
    """Features that are the same in every draft, or whose statistic is not given."""
    right: int
    """Right drafts it was fitted on."""
    wrong: int
    """Wrong ones."""


def fit(examples: Sequence[Example], given: Sequence[Statistic], where: str) -> Fitted:
    """The model of the drafts whose features are defined.

    `given` are the statistics that the engine gives, `where` names the samples in errors. Raises
    `DataError` for too few drafts, drafts of one class, and drafts that no feature tells apart.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    names = [name for name, feature in FEATURES.items() if feature.needs in given]
    rows = [(feature_values(names, one.tokens), one.right) for one in examples if one.tokens]
    known = [(values, right) for values, right in rows if values is not None]
    right = np.array([right for _, right in known], dtype=bool)
    _require_both_classes(int(right.sum()), int((~right).sum()), where)
    matrix = np.array([values for values, _ in known])
    scale = SAME * np.maximum(1.0, np.abs(matrix).max(axis=0))
    varying = np.flatnonzero(np.ptp(matrix, axis=0) > scale)
    if not len(varying):
        raise DataError(
            f"Every draft of {where} has the same {', '.join(names) or 'lack of statistics'}: "
            "there is nothing to learn from."
        )
    names = [names[place] for place in varying]
    matrix = matrix[:, varying]
    middle, spread = matrix.mean(axis=0), matrix.std(axis=0)
    floors = [0.0 if FEATURES[name].monotone else -math.inf for name in names]
    intercept, weights = _solve((matrix - middle) / spread, right, floors)
    raw = weights / spread
    return Fitted(
        intercept=float(intercept - raw @ middle),
        coefficients={name: float(weight) for name, weight in zip(names, raw, strict=True)},
        left_out=tuple(name for name in FEATURES if name not in names),
        right=int(right.sum()),
        wrong=int((~right).sum()),
    )


def _require_both_classes(right: int, wrong: int, where: str) -> None:
    if min(right, wrong) < FEWEST:
        raise DataError(
            f"{right} right and {wrong} wrong drafts of {where} have defined statistics; at least "
            f"{FEWEST} of each are needed to learn from. Take more samples, or harder ones."
        )


def _solve(matrix: Any, right: Any, floors: Sequence[float]) -> tuple[float, Any]:
    """The intercept and the coefficients that cost least: log loss and ridge, within the floors."""
    import numpy as np  # noqa: PLC0415 - slow to import
    from scipy.optimize import minimize  # noqa: PLC0415 - the same
    from scipy.special import expit  # noqa: PLC0415 - the same

    signs = np.where(right, 1.0, -1.0)

    def cost(solution: Any) -> tuple[float, Any]:
        intercept, weights = solution[0], solution[1:]
        margins = signs * (intercept + matrix @ weights)
        loss = np.logaddexp(0.0, -margins).sum() + PENALTY / 2 * weights @ weights
        slopes = -signs * expit(-margins)
        return float(loss), np.append(slopes.sum(), matrix.T @ slopes + PENALTY * weights)

    found = minimize(
        cost,
        np.zeros(matrix.shape[1] + 1),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *((floor, None) for floor in floors)],
        options={"maxiter": 2_000, "ftol": 1e-12, "gtol": 1e-8},
    )
    return float(found.x[0]), found.x[1:]
