"""Is the replay's prediction what a real run then measured?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from speceyes_cli.analysis.replay import ReplaySetting, accepts, seconds_if
from speceyes_cli.analysis.settings import (
    data_of,
    engines_of,
    first_data_difference,
    first_difference,
    setting_of,
)
from speceyes_cli.analysis.table import ScoredSample, ScoreTable
from speceyes_cli.core.errors import DataError, UsageError
from speceyes_cli.core.run.info import identity_of_engines
from speceyes_cli.core.run.store import SampleKey
from speceyes_cli.core.tables.summaries import LoadedRun


class Check(BaseModel):
    """Prediction and measurement, on the samples that both runs answered."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    run: str
    """The real run."""
    gate: str
    """Its gate."""
    top_k: int
    """Its K."""
    threshold: float
    """Its threshold."""
    n: int
    """Samples that both runs answered."""
    rerouted: tuple[str, ...]
    """Samples answered by another branch than predicted."""
    accuracy_predicted: float
    """Right answers, as replayed."""
    accuracy_measured: float
    """Right answers of the real run."""
    coverage_predicted: float
    """Samples the draft answers, as replayed."""
    coverage_measured: float
    """Samples the draft answered in the real run."""
    speedup_predicted: float | None
    """Over the agent alone, as replayed; None where the agent's time is not known."""
    speedup_measured: float | None
    """Over the same time of the agent alone, as measured; None for a both-branches run."""
    cached: bool = False
    """Both rest on calls replayed from the call cache, not measured in these runs."""

    @property
    def exact(self) -> bool:
        """Whether routes, accuracy and coverage are as predicted."""
        return (
            not self.rerouted
            and self.accuracy_predicted == self.accuracy_measured
            and self.coverage_predicted == self.coverage_measured
        )


def choice_of(table: ScoreTable) -> ReplaySetting:
    """The gate, K and threshold that a run had; `UsageError` when it had none."""
    config = table.config
    if config.gate is None or config.top_k is None or config.threshold is None:
        raise UsageError(
            f"{table.run} is a run of the method {config.method}, which has no threshold; "
            "--check needs one of the method speceyes."
        )
    return ReplaySetting(config.gate, config.top_k, config.threshold)


def require_comparable(run: LoadedRun, real: LoadedRun) -> None:
    """Raise `DataError` when anything that decides an answer differs between the runs."""
    found = (
        first_difference(setting_of(run.info.config), setting_of(real.info.config))
        or first_data_difference(data_of(run.info.config), data_of(real.info.config))
        or first_difference(_engines(run), _engines(real))
    )
    if found is not None:
        found = found.replace("(then ", f"({run.info.name}: ").replace(
            ", now ", f", {real.info.name}: "
        )
        raise DataError(f"The two runs cannot be compared: they differ in {found}.")


def _engines(run: LoadedRun) -> dict[str, dict[str, Any]]:
    return identity_of_engines(engines_of(run.info.engines))


def check_prediction(
    table: ScoreTable,
    values: Sequence[float],
    baseline: Sequence[float | None],
    real: ScoreTable,
) -> Check:
    """Replay the real run's choice; `values` and `baseline` as `replay.replay` takes them."""
    choice = choice_of(real)
    measured = {SampleKey(s.split, s.sample_id): s for s in real.samples}
    rows = [
        (sample, accepts(sample, value, choice.threshold), before, found)
        for sample, value, before in zip(table.samples, values, baseline, strict=True)
        if (found := measured.get(SampleKey(sample.split, sample.sample_id))) is not None
    ]
    if not rows:
        raise DataError(f"{table.run} and {real.run} have no answered sample in common.")
    n = len(rows)
    timed = [(s, a, before, found) for s, a, before, found in rows if before is not None]
    before = math.fsum(row[2] for row in timed)
    predicted = math.fsum(seconds_if(s, accepted=a) for s, a, _, _ in timed)
    taken = math.fsum(_seconds(found) for _, _, _, found in timed)
    return Check(
        run=real.run,
        gate=choice.gate,
        top_k=choice.top_k,
        threshold=choice.threshold,
        n=n,
        rerouted=tuple(
            f"{sample.split}/{sample.sample_id}"
            for sample, accepted, _, found in rows
            if accepted != (found.route == "small")
        ),
        accuracy_predicted=sum(
            bool(s.draft_right if accepted else s.agent_right) for s, accepted, _, _ in rows
        )
        / n,
        accuracy_measured=sum(found.right for *_, found in rows) / n,
        coverage_predicted=sum(accepted for _, accepted, _, _ in rows) / n,
        coverage_measured=sum(found.route == "small" for *_, found in rows) / n,
        speedup_predicted=before / predicted if predicted > 0 else None,
        speedup_measured=before / taken if taken > 0 and not real.config.both_branches else None,
        cached=any(s.cached_seconds or found.cached_seconds for s, _, _, found in timed),
    )


def _seconds(sample: ScoredSample) -> float:
    return math.fsum(sample.seconds.values())
