"""Certified thresholds to choose from: of several gates, for several losses, at one risk.

All promises hold together but for the risk. It is divided equally among the pairs of gate and loss
(Bonferroni), each of which is walked by itself; within one walk every threshold down to the
certified one is certified at no further cost, since a stricter threshold does no more harm. So one
may look at all of them and choose afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.calibration import Certified, Test, Unit, examine, gather_units, grid
from speceyes_cli.analysis.calibration import certify as certify_units
from speceyes_cli.analysis.learned.parts import group_names
from speceyes_cli.analysis.replay import agent_seconds, screen_passed, seconds_if
from speceyes_cli.analysis.table import ScoredSample, ScoreTable
from speceyes_cli.core.errors import DataError, UsageError


class Measure(NamedTuple):
    """What is compared with the threshold."""

    gate: str
    top_k: int


class Levels(NamedTuple):
    """What is promised."""

    max_losses: tuple[float, ...]
    """ε: the bounds on the harm. The first is the one that counts unless a cost decides."""
    risk: float
    """δ: the chance that any of the promises is broken."""


class Cost(NamedTuple):
    """What is to be least, in one currency."""

    wrong: float
    """Of one wrong answer."""
    second: float
    """Of one second of the models' and tools' time."""


class CertifiedPoint(BaseModel):
    """One certified threshold and what it did on the calibration's samples."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gate: str
    """The score that is compared with the threshold."""
    top_k: int
    """Logits of each token that the gate looks at."""
    threshold: float
    """A draft stands when its confidence exceeds it."""
    max_loss: float
    """The promised bound ε on P(accepted, the agent right, the draft wrong)."""
    n: int
    """Independent units tested."""
    harmful: int
    """Units with a harmful sample at the threshold."""
    p_value: float
    """Bound on the chance of so little harm if harm were at the bound."""
    test: Test
    """How it was tested: by the binomial tail of units of one size, or by betting."""
    accepted: int
    """Samples whose draft stands."""
    coverage: float
    """Their share of all samples."""
    accuracy: float
    """Right answers, the agent's where the draft does not stand."""
    seconds: float
    """Mean seconds per sample."""
    cost: float | None = None
    """Mean cost per sample, where costs were named."""


class _Outcomes:
    """What accepting each sample's draft would change, in the table's order."""

    def __init__(self, table: ScoreTable, cost: Cost | None) -> None:
        import numpy as np  # noqa: PLC0415 - slow to import

        samples = table.samples
        self.cost = cost
        self.right = np.array([bool(s.agent_right) for s in samples], dtype=float)
        self.gained = np.array([float(bool(s.draft_right)) for s in samples]) - self.right
        self.spent = np.array([seconds_if(s, accepted=False) for s in samples])
        self.saved = np.array([agent_seconds(s) for s in samples])

    def figures(self, accepted: Any) -> dict[str, Any]:
        """Accepted samples, their share, accuracy, seconds and cost."""
        n = len(accepted)
        accuracy = (self.right.sum() + self.gained[accepted].sum()) / n
        seconds = (math.fsum(self.spent) - math.fsum(self.saved[accepted])) / n
        cost = self.cost
        return {
            "accepted": int(accepted.sum()),
            "coverage": float(accepted.mean()),
            "accuracy": float(accuracy),
            "seconds": seconds,
            "cost": cost and float(cost.wrong * (1 - accuracy) + cost.second * seconds),
        }


def check_cost(cost: Cost) -> None:
    """Raise `UsageError` for costs that are no amounts, or both nothing."""
    for flag, value in (("--cost-wrong", cost.wrong), ("--cost-second", cost.second)):
        if not 0 <= value < math.inf:
            raise UsageError(f"{flag} is a cost of 0 or more, not {value:g}.")
    if cost.wrong == cost.second == 0:
        raise UsageError("--cost-wrong and --cost-second are both 0, so every threshold costs 0.")


def judged_samples(
    samples: Sequence[ScoredSample], values: Sequence[float]
) -> list[tuple[str, float, bool]]:
    """Each sample's group, confidence (-inf: never accepted) and whether accepting may do harm.

    Samples that share a cluster or a picture are of one group. Where a verdict is missing that
    could show that there is none, there may be harm.
    """
    return [
        (
            group,
            value if screen_passed(sample) else -math.inf,
            sample.may_harm,
        )
        for group, sample, value in zip(group_names(samples), samples, values, strict=True)
    ]


def find_points(
    table: ScoreTable,
    candidates: Mapping[Measure, Sequence[float]],
    levels: Levels,
    cost: Cost | None = None,
) -> tuple[CertifiedPoint, ...]:
    """Of each gate and loss the threshold that accepts most, or costs least; all hold together.

    `candidates` are the samples' acceptable confidences by gate and K. A pair for which no
    threshold that accepts a draft can be certified has no point. Raises `DataError` when there are
    too few samples for any, or none of the pairs has one.
    """
    outcomes = _Outcomes(table, cost)
    share = share_of_risk(levels, len(candidates))
    found, too_few = [], None
    for measure, values in candidates.items():
        judged = judged_samples(table.samples, values)
        units = gather_units(judged)
        for max_loss in levels.max_losses:
            try:
                loosest = certify_units(units, max_loss, share)
            except DataError as error:
                too_few = too_few or error
                continue
            if loosest is not None:
                reached = [value for _, value, _ in judged]
                found += _best(measure, (units, max_loss), loosest, reached, outcomes)
    if not found and too_few is not None:
        raise too_few
    if not found:
        raise _nothing(table, [measure.gate for measure in candidates], levels)
    return tuple(found)


def share_of_risk(levels: Levels, gates: int) -> float:
    """The level at which each pair of gate and loss is tested."""
    return levels.risk / (gates * len(levels.max_losses))


def choose(points: Sequence[CertifiedPoint], levels: Levels, cost: Cost | None) -> CertifiedPoint:
    """The point that costs least, or of the first loss the one that accepts most.

    Raises `DataError` when the first loss has none.
    """
    if cost is not None:
        return min(points, key=lambda point: (point.cost, -point.coverage))
    first = [point for point in points if point.max_loss == levels.max_losses[0]]
    if not first:
        others = ", ".join(f"{point.max_loss:g}" for point in points)
        raise DataError(
            f"No threshold that accepts a draft can be certified for a loss of "
            f"{levels.max_losses[0]:g}, but for {others}: name one of these first."
        )
    return max(first, key=lambda point: point.accepted)


def _best(
    measure: Measure,
    tested: tuple[Sequence[Unit], float],
    loosest: Certified,
    values: Sequence[float],
    outcomes: _Outcomes,
) -> list[CertifiedPoint]:
    """The point of one walk; none when it accepts no draft."""
    import numpy as np  # noqa: PLC0415 - slow to import

    reached = np.array(values)
    if not (reached > loosest.threshold).any():
        return []
    chosen = loosest
    if outcomes.cost is not None:
        certified = [value for value in grid() if value >= loosest.threshold]
        differing = {int((reached > value).sum()): value for value in certified}
        cheapest = min(
            differing.values(), key=lambda value: outcomes.figures(reached > value)["cost"]
        )
        chosen = examine(*tested)(cheapest)
    return [
        CertifiedPoint(
            **measure._asdict(),
            **chosen._asdict(),
            max_loss=tested[1],
            **outcomes.figures(reached > chosen.threshold),
        )
    ]


def _nothing(table: ScoreTable, gates: Sequence[str], levels: Levels) -> DataError:
    losses = ", ".join(f"{loss:g}" for loss in levels.max_losses)
    return DataError(
        f"No threshold of {', '.join(gates)} that accepts a draft can be certified for a loss of "
        f"{losses} at risk {levels.risk:g}: among the surest drafts of {table.run} too many are "
        "wrong where the agent is right. Allow more loss, take more samples, or try another gate "
        "on them."
    )
