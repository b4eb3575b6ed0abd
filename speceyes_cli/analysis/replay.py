"""What any gate, K and threshold would have done, from a run that executed both branches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.branches import Branches, sweep
from speceyes_cli.analysis.table import ScoredSample, ScoreTable
from speceyes_cli.core.run.store import SampleKey
from speceyes_cli.core.tables.intervals import paired_speedup, share_right, usable_clusters
from speceyes_cli.core.tables.summaries import ALL, LoadedRun

FRONTIER_POINTS = 200
"""Points of one gate's frontier at most."""


class ReplaySetting(NamedTuple):
    """How drafts are accepted."""

    gate: str
    top_k: int
    threshold: float


class Replayed(BaseModel):
    """What a choice would have done; shares are of all samples, 0 to 1."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    split: str
    """The split, or "all"."""
    gate: str
    """How a draft's tokens become one confidence."""
    top_k: int
    """Logits of each token that the gate looks at."""
    threshold: float
    """The confidence a draft must exceed."""
    n: int
    """Answered samples."""
    coverage: float
    """Samples that the draft would answer."""
    accuracy: float
    """Right answers."""
    accuracy_low: float
    """Lower bound of `accuracy`, 95%: Wilson's, or by clusters where samples share them."""
    accuracy_high: float
    """Upper bound of `accuracy`."""
    agent_accuracy: float
    """Right answers of the agent alone; `accuracy` is this plus `gain` less `harm`."""
    draft_accuracy: float
    """Right answers of the small model alone."""
    harm: float
    """Accepted, the draft wrong and the agent right."""
    gain: float
    """Accepted, the draft right and the agent wrong."""
    both_right: float
    """Accepted, both right."""
    both_wrong: float
    """Accepted, both wrong."""
    seconds: float
    """Predicted mean seconds per sample."""
    speedup: float | None
    """Predicted: mean seconds of the agent alone over `seconds`; None without any time."""
    speedup_low: float | None
    """Lower bound of `speedup`, paired bootstrap at 95%, of whole clusters where there are any."""
    speedup_high: float | None
    """Upper bound of `speedup`."""
    cached: bool = False
    """`seconds` and `speedup` rest on calls replayed from the call cache, not measured."""


class FrontierPoint(NamedTuple):
    """One threshold's place between accuracy and speed."""

    threshold: float
    coverage: float
    accuracy: float
    speedup: float


def screen_passed(sample: ScoredSample) -> bool:
    """Whether the sample went on to the draft; without a screen all do."""
    return sample.passed_screen is not False


def accepts(sample: ScoredSample, value: float, threshold: float) -> bool:
    """Whether the draft would stand, its acceptable confidence being `value`."""
    return screen_passed(sample) and value > threshold


def agent_seconds(sample: ScoredSample) -> float:
    """The agent's own time, its tools included."""
    return math.fsum(s for phase, s in sample.seconds.items() if phase not in ("screen", "draft"))


def seconds_if(sample: ScoredSample, *, accepted: bool) -> float:
    """What the sample would have cost: screen, draft where it was screened for, agent if needed.

    Engine time is attributed as records do it, an equal share of each batch.
    """
    screen = sample.seconds.get("screen", 0.0)
    draft = sample.seconds.get("draft", 0.0) if screen_passed(sample) else 0.0
    return screen + draft + (0.0 if accepted else agent_seconds(sample))


def baseline_seconds(table: ScoreTable, baseline: LoadedRun | None) -> list[float | None]:
    """What the agent alone costs each sample, in the table's order; None where it is not known.

    Measured by the baseline run. Without one it is the agent's phase of this run, which is a
    little less than the agent alone costs: the screen has read the picture for it.
    """
    if baseline is None:
        return [agent_seconds(sample) for sample in table.samples]
    columns = baseline.columns
    seconds, answered = columns.seconds.tolist(), columns.answered.tolist()
    known = {key: seconds[place] for key, place in columns.by_key.items() if answered[place]}
    return [known.get(SampleKey(sample.split, sample.sample_id)) for sample in table.samples]


def branches_of(samples: Sequence[ScoredSample], baseline: Sequence[float | None]) -> Branches:
    """What both branches of each sample did; `baseline` is what the agent alone costs each."""
    import numpy as np  # noqa: PLC0415 - slow to import

    agent = [agent_seconds(sample) for sample in samples]
    return Branches(
        passed=np.array([screen_passed(sample) for sample in samples], dtype=bool),
        draft_right=np.array([bool(sample.draft_right) for sample in samples], dtype=bool),
        agent_right=np.array([bool(sample.agent_right) for sample in samples], dtype=bool),
        spent=np.array([seconds_if(sample, accepted=True) for sample in samples], dtype=float),
        agent=np.array(agent, dtype=float),
        baseline=np.array([math.nan if b is None else b for b in baseline], dtype=float),
    )


def replay(
    table: ScoreTable,
    values: Sequence[float],
    choice: ReplaySetting,
    baseline: Sequence[float | None],
    split: str = ALL,
) -> Replayed:
    """What the choice would have done on one split, or all of them.

    `values` are the samples' acceptable confidences under the choice's gate and K, `baseline`
    what the agent alone costs each; both in the table's order.
    """
    rows = [
        (sample, value, before)
        for sample, value, before in zip(table.samples, values, baseline, strict=True)
        if split in (ALL, sample.split)
    ]
    n = len(rows)
    branches = branches_of([sample for sample, _, _ in rows], [before for _, _, before in rows])
    found = sweep(branches, [value for _, value, _ in rows], [choice.threshold])
    counts = {name: int(value[0]) for name, value in found._asdict().items()}
    stands = [accepts(sample, value, choice.threshold) for sample, value, _ in rows]
    answers = zip(stands, (sample for sample, _, _ in rows), strict=True)
    right = [bool(s.draft_right if stood else s.agent_right) for stood, s in answers]
    accuracy = share_right(right, usable_clusters([sample.cluster for sample, _, _ in rows]))
    assert accuracy is not None  # noqa: S101 - a table has samples
    costs = [
        (before, seconds_if(sample, accepted=stood), sample.cluster)
        for stood, (sample, _, before) in zip(stands, rows, strict=True)
        if before is not None
    ]
    speedup = paired_speedup(
        [before for before, _, _ in costs],
        [after for _, after, _ in costs],
        usable_clusters([cluster for _, _, cluster in costs]),
    )
    return Replayed(
        split=split,
        gate=choice.gate,
        top_k=choice.top_k,
        threshold=choice.threshold,
        n=n,
        coverage=counts["accepted"] / n,
        accuracy=accuracy.value,
        accuracy_low=accuracy.low,
        accuracy_high=accuracy.high,
        agent_accuracy=int(branches.agent_right.sum()) / n,
        draft_accuracy=int(branches.draft_right.sum()) / n,
        harm=counts["harm"] / n,
        gain=counts["gain"] / n,
        both_right=counts["both_right"] / n,
        both_wrong=counts["both_wrong"] / n,
        seconds=float(found.seconds[0]) / n,
        cached=any(sample.cached_seconds for sample, _, _ in rows),
        speedup=speedup.value if speedup else None,
        speedup_low=speedup.low if speedup else None,
        speedup_high=speedup.high if speedup else None,
    )


def frontier(
    table: ScoreTable, values: Sequence[float], baseline: Sequence[float | None]
) -> list[FrontierPoint]:
    """Accuracy and predicted speedup at every threshold that changes anything, strict to loose.

    Thinned to `FRONTIER_POINTS`; the samples that the baseline does not know are left out.
    """
    rows = [
        (value if screen_passed(sample) else -math.inf, sample, before)
        for sample, value, before in zip(table.samples, values, baseline, strict=True)
        if before is not None
    ]
    if not rows:
        return []
    rows.sort(key=lambda row: -row[0])
    right = sum(bool(sample.agent_right) for _, sample, _ in rows)
    before = math.fsum(row[2] for row in rows)
    after = math.fsum(seconds_if(sample, accepted=False) for _, sample, _ in rows)
    points = [_point(1.0, 0, right, before, after, len(rows))]
    for place, (row, following) in enumerate(pairwise([*rows, (-math.inf, None, 0.0)]), start=1):
        value, sample, _ = row
        if value == -math.inf or sample is None:
            break
        right += bool(sample.draft_right) - bool(sample.agent_right)
        after -= agent_seconds(sample)
        if following[0] < value:  # all that tie with this one are in
            threshold = max(following[0], 0.0)
            points.append(_point(threshold, place, right, before, after, len(rows)))
    step = math.ceil(len(points) / FRONTIER_POINTS)
    return points[:-1:step] + points[-1:]


def _point(
    threshold: float, accepted: int, right: int, before: float, after: float, n: int
) -> FrontierPoint:
    speedup = before / after if after > 0 else 0.0
    return FrontierPoint(threshold, accepted / n, right / n, speedup)
