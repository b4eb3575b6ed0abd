"""The paper's sweeps as curves, to lay over our own (arXiv 2603.23483)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speceyes_cli.analysis.ablation import Axis, Curve, Point
from speceyes_cli.core.tables.paper import paper_tables

MODELS = "DeepEyes-7B with Qwen3-VL-2B"
"""The models of the paper's sweeps."""
_GATES = ("min", "mean", "bottom20", "log")


def published_curves(axis: Axis, dataset: str) -> list[Curve]:
    """The paper's points along an axis, on this dataset or else on the one it swept."""
    tables = paper_tables()
    if axis == "gate":
        return _by_gate(tables, dataset)
    section, key, swept = {
        "threshold": ("sweep", "threshold", "vstar"),
        "top_k": ("top_k", "k", "vstar"),
        "batch_size": ("batch", "batch", "pope"),
    }[axis]
    table = tables[section]["deepeyes"][swept]
    return [
        _curve(axis, f"{swept}/{split}", table[key], found)
        for split, found in table.items()
        if split != key
    ]


def _curve(
    axis: Axis,
    name: str,
    values: Sequence[float | str],
    found: Mapping[str, Sequence[float]] | Sequence[float],
) -> Curve:
    columns = found if isinstance(found, Mapping) else {"speedup": found}
    accuracy = columns.get("accuracy", [None] * len(values))
    rows = list(zip(values, accuracy, columns["speedup"], strict=True))
    alone = next((share for value, share, _ in rows if value == "baseline"), None)
    return Curve(
        axis=axis,
        label=f"paper, {name}",
        baseline_accuracy=None if alone is None else alone / 100,
        published=True,
        points=tuple(
            sorted(
                (_point(*row) for row in rows if row[0] != "baseline"),
                key=lambda point: point.value,
            )
        ),
    )


def _point(value: float | str, accuracy: float | None, speedup: float) -> Point:
    return Point(
        value=value, accuracy=None if accuracy is None else accuracy / 100, speedup=speedup
    )


def _by_gate(tables: Mapping[str, Any], dataset: str) -> list[Curve]:
    known = {split.partition("/")[0] for split in tables["splits"]}
    wanted = dataset if dataset in known else "vstar"
    return [
        Curve(
            axis="gate",
            label=f"paper, {split}",
            baseline_accuracy=tables["deepeyes"]["baseline"]["accuracy"][place] / 100,
            published=True,
            points=tuple(
                _point(gate, table["accuracy"][place], table["speedup"][place])
                for gate in _GATES
                if (table := tables["deepeyes"][gate])
            ),
        )
        for place, split in enumerate(tables["splits"])
        if split.partition("/")[0] == wanted
    ]
