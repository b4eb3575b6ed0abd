"""Accuracy and speedup against what runs vary: threshold, K, batch size or gate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict

from speceyes_cli.core.errors import DataError
from speceyes_cli.core.run.columns import YES
from speceyes_cli.core.run.info import RunConfig
from speceyes_cli.core.tables.comparison import paired
from speceyes_cli.core.tables.measures import share
from speceyes_cli.core.tables.summaries import ALL, LoadedRun, find_baseline, summarize

Axis = Literal["threshold", "top_k", "batch_size", "gate"]
AXES: tuple[Axis, ...] = get_args(Axis)
_NAMES = {"threshold": "threshold", "top_k": "K", "batch_size": "batch size", "gate": "gate"}


class Point(BaseModel):
    """One run, or one point that was published."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    value: float | str
    """Its threshold, K, batch size or gate."""
    run: str | None = None
    """None: published."""
    n: int | None = None
    """Answered samples."""
    accuracy: float | None = None
    """0 to 1."""
    accuracy_low: float | None = None
    """Lower bound, Wilson's 95% interval."""
    accuracy_high: float | None = None
    """Upper bound."""
    speedup: float | None = None
    """Over the agent alone; None without a baseline run."""
    speedup_low: float | None = None
    """Lower bound, paired bootstrap at 95%."""
    speedup_high: float | None = None
    """Upper bound."""
    speedup_n: int | None = None
    """Samples that `speedup` rests on."""
    speedup_cached: bool = False
    """`speedup` rests on calls replayed from the call cache, of this run or of its baseline."""


class Curve(BaseModel):
    """Points that differ in one thing only."""

    model_config = ConfigDict(frozen=True)

    axis: Axis
    label: str
    """Its split, and what else tells it from other curves of this axis."""
    baseline_accuracy: float | None = None
    """The agent alone on the same samples, 0 to 1."""
    published: bool = False
    reference: int | None = None
    """Along batch sizes, that of the agent alone which is 1×; None elsewhere or without one."""
    points: tuple[Point, ...]


class _Valued(NamedTuple):
    """A run and what it has along an axis; several runs may have the same."""

    value: Any
    run: LoadedRun


def find_curves(runs: Sequence[LoadedRun], baselines: Sequence[LoadedRun]) -> list[Curve]:
    """A curve for each set of runs that differ in one thing only, and each of their splits.

    Raises `DataError` when no two runs do.
    """
    swept = [run for run in runs if run.info.config.gate is not None]
    curves = [curve for axis in AXES for curve in _curves_along(axis, swept, baselines)]
    if not curves:
        raise DataError(
            f"No two of the runs named ({len(runs)}) differ in their threshold, K, batch size or "
            "gate alone, so there is nothing to draw a line through; run `speceyes eval` again "
            "with one of them changed."
        )
    return curves


def _curves_along(
    axis: Axis, runs: Sequence[LoadedRun], baselines: Sequence[LoadedRun]
) -> list[Curve]:
    groups: dict[str, list[_Valued]] = {}
    for run in runs:
        value = getattr(run.info.config, axis)
        if value is not None:
            groups.setdefault(_all_but(run.info.config, axis), []).append(_Valued(value, run))
    found = [group for group in groups.values() if len({one.value for one in group}) > 1]
    names = _names([group[0].run.info.config for group in found], axis)
    return [
        curve
        for group, name in zip(found, names, strict=True)
        for curve in _by_split(axis, group, baselines, name)
    ]


def _by_split(
    axis: Axis, group: Sequence[_Valued], baselines: Sequence[LoadedRun], name: str
) -> list[Curve]:
    points: dict[str, list[Point]] = {}
    alone: dict[str, float | None] = {}
    sizes: set[int | None] = set()
    for value, run in sorted(group, key=lambda one: one.value):
        baseline, size = _baseline_of(axis, run, baselines)
        sizes |= {size} - {None}
        rows = summarize(run, baseline)
        shown = rows[:1] if len(rows) == 2 else rows  # noqa: PLR2004 - one split, and all of one
        for row in shown:
            shares = row.model_dump(include=set(Point.model_fields) - {"n", "run", "value"})
            points.setdefault(row.split, []).append(
                Point(value=value, run=row.run, n=row.n - row.n_error, **shares)
            )
        if baseline is not None:
            alone |= _alone(baseline, run)
    return [
        Curve(
            axis=axis,
            label=", ".join(filter(None, (split, name))),
            reference=next(iter(sizes), None),
            baseline_accuracy=alone.get(split),
            points=tuple(found),
        )
        for split, found in points.items()
        if split != ALL or len(points) > 1
    ]


def _alone(baseline: LoadedRun, run: LoadedRun) -> dict[str, float | None]:
    """The baseline's accuracy on the samples that both answered, by split and of all."""
    columns, pairs = baseline.columns, paired(baseline.columns, run.columns)
    parts = {split: pairs.among(run.columns.places(split)) for split in set(run.columns.split)}
    found = {}
    for split, part in {**parts, ALL: pairs}.items():
        judged = part.places_before[columns.judged[part.places_before]]
        found[split] = share((columns.right[judged] == YES).sum(), len(judged))
    return found


def _baseline_of(
    axis: Axis, run: LoadedRun, baselines: Sequence[LoadedRun]
) -> tuple[LoadedRun | None, int | None]:
    """The run's baseline; along batch sizes one for all, of the smallest size, and that size."""
    if axis != "batch_size":
        return find_baseline(run, baselines), None
    own = run.info.config.batch_size
    sizes = sorted({other.info.config.batch_size for other in baselines})
    for size in sizes:
        alike = [o for o in baselines if o.info.config.batch_size == size]
        found = find_baseline(run, [_with_batch(other, own) for other in alike])
        if found is not None:
            return found, size
    return None, None


def _with_batch(run: LoadedRun, size: int) -> LoadedRun:
    config = run.info.config.model_copy(update={"batch_size": size})
    return run._replace(info=run.info.model_copy(update={"config": config}))


def _all_but(config: RunConfig, axis: Axis) -> str:
    return json.dumps({k: v for k, v in config.model_dump().items() if k != axis}, sort_keys=True)


def _names(configs: Sequence[RunConfig], axis: Axis) -> list[str]:
    """What tells each configuration from the others; empty where there is only one."""
    fields = [config.model_dump(mode="json") for config in configs]
    telling = [
        name
        for name in RunConfig.model_fields
        if name != axis and len({json.dumps(one[name], sort_keys=True) for one in fields}) > 1
    ]
    plain = [name for name in telling if not isinstance(fields[0][name], dict | list)]
    return [
        ", ".join(_told(name, one[name]) for name in plain if one[name] is not None)
        or (f"group {place}" if len(fields) > 1 else "")
        for place, one in enumerate(fields, start=1)
    ]


def _told(name: str, value: object) -> str:
    if name in ("method", "gate", "agent"):
        return str(value)
    return f"{_NAMES.get(name, name.replace('_', ' '))} {value}"
