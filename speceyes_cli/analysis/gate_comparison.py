"""One gate beside others on the same samples: paired intervals of AURC and of coverage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.certified_points import judged_samples
from speceyes_cli.analysis.confidence import risk_by_coverage
from speceyes_cli.analysis.learned.parts import group_names
from speceyes_cli.analysis.table import ScoredSample, ScoreTable
from speceyes_cli.core.errors import DataError
from speceyes_cli.core.tables.intervals import CONFIDENCE

EQUAL_HARM = 0.02
"""The harm at which coverages are compared: the usual bound of a certificate."""
RESAMPLES = 1_000
SEED = 0


class Difference(BaseModel):
    """A figure of one gate less that of the other, with its paired bootstrap interval at 95%."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    gate: float
    """The figure of the gate."""
    other: float
    """The same of the other."""
    low: float
    """Lower bound of the difference."""
    high: float
    """Upper bound."""


class Comparison(BaseModel):
    """A gate beside another, on drafts for which both have a score."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    gate: str
    other: str
    n: int
    """Drafts compared."""
    aurc: Difference
    """Mean error rate over all coverages, surest drafts first; lower is better."""
    coverage: Difference | None
    """Samples accepted where accepting harms 2% of all; None where the agent did not run."""


def compare_gates(
    table: ScoreTable, gate: str, values: Mapping[str, Sequence[float]]
) -> list[Comparison]:
    """The gate beside each other one; `values` are confidences in the table's order, by gate.

    Of judged drafts for which both gates have a score, those that can never be accepted left out.
    Whole clusters are drawn again, the same for both gates.
    """
    return [
        _compare(table, (gate, other), (values[gate], values[other]))
        for other in values
        if other != gate
    ]


def _compare(
    table: ScoreTable, names: tuple[str, str], pair: tuple[Sequence[float], Sequence[float]]
) -> Comparison:
    import numpy as np  # noqa: PLC0415 - slow to import

    kept = [
        place
        for place, sample in enumerate(table.samples)
        if sample.draft_right is not None and all(math.isfinite(values[place]) for values in pair)
    ]
    if not kept:
        raise DataError(
            f"No judged draft of {table.run} has a score under both {names[0]} and {names[1]}."
        )
    samples = [table.samples[place] for place in kept]
    scores = [np.array([values[place] for place in kept]) for values in pair]
    right = np.array([bool(sample.draft_right) for sample in samples])
    both = all(sample.agent_right is not None for sample in table.samples)
    judged = judged_samples(samples, [1.0] * len(samples))
    harmful = np.array([harms for *_, harms in judged])
    held_back = np.array([value == -math.inf for _, value, _ in judged])  # by the screen
    standing = [np.where(held_back, -np.inf, one) for one in scores]

    def figures(places: Any) -> list[float]:
        risks = [float(risk_by_coverage(s[places], right[places]).mean()) for s in scores]
        if not both:
            return risks
        return risks + [coverage_at(s[places], harmful[places], EQUAL_HARM) for s in standing]

    found = figures(np.arange(len(kept)))
    drawn = np.array([figures(places) for places in _draws(samples)])
    return Comparison(
        gate=names[0],
        other=names[1],
        n=len(kept),
        aurc=_difference(found[:2], drawn[:, :2]),
        coverage=_difference(found[2:], drawn[:, 2:]) if both else None,
    )


def coverage_at(score: Any, harmful: Any, harm: float) -> float:
    """The largest share of drafts that a threshold accepts while no more than `harm` are harmful.

    Both shares are of all drafts here; equal scores are accepted together, and -inf never is.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    order = np.argsort(-score)
    ranked = score[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    accepted = np.arange(1, len(score) + 1)[last]
    done = np.cumsum(harmful[order])[last]
    allowed = accepted[(done <= harm * len(score)) & (ranked[last] > -np.inf)]
    return float(allowed.max() / len(score)) if len(allowed) else 0.0


def _draws(samples: Sequence[ScoredSample]) -> Any:
    """Places of samples, whole clusters drawn with replacement, again and again."""
    import numpy as np  # noqa: PLC0415 - slow to import

    members: dict[str, list[int]] = {}
    for place, group in enumerate(group_names(samples)):
        members.setdefault(group, []).append(place)
    clusters = [np.array(members[name]) for name in sorted(members)]
    generator = np.random.default_rng(SEED)
    for _ in range(RESAMPLES):
        chosen = generator.integers(len(clusters), size=len(clusters))
        yield np.concatenate([clusters[place] for place in chosen])


def _difference(pair: Sequence[float], drawn: Any) -> Difference:
    import numpy as np  # noqa: PLC0415 - slow to import

    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn[:, 0] - drawn[:, 1], [tail, 1 - tail])
    return Difference(gate=pair[0], other=pair[1], low=float(low), high=float(high))
