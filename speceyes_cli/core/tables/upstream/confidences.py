"""Upstream's exports of the small model alone: every gate's scores, by verdict.

They stand in the judge's summary, `conf_infos`: for each gate the scores of wrong and right drafts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from speceyes_cli.core.tables.upstream.files import MOST, find_results, judged_place, read_object
from speceyes_cli.core.tables.upstream.names import parse_name


class GateScores(NamedTuple):
    """One gate's scores of one file's drafts."""

    wrong: tuple[float, ...]
    right: tuple[float, ...]


class Export(NamedTuple):
    """One small model on one benchmark."""

    run: str
    """Its folder and what its files' names share."""
    dataset: str
    splits: Mapping[str, Mapping[str, GateScores]]
    """By split and gate."""


def find_exports(path: Path) -> list[Export]:
    """The judged exports at or below a path; `DataError` for a file that cannot be read."""
    found: dict[tuple[Path, str, str], dict[str, Mapping[str, GateScores]]] = {}
    for place in find_results(path):
        name, scores = parse_name(place.stem), read_confidences(place)
        if name is not None and scores:
            key = place.parent, name.rest, name.dataset
            found.setdefault(key, {})[name.split] = scores
    return [
        Export(f"{folder.name}/{rest}", dataset, splits)
        for (folder, rest, dataset), splits in found.items()
    ]


def read_confidences(place: Path) -> dict[str, GateScores]:
    """Each gate's scores of one result; none where its judged file is missing or no export's."""
    infos = read_object(judged_place(place)).get("conf_infos")
    if not isinstance(infos, Mapping):
        return {}
    return {
        gate: GateScores(tuple(_numbers(found.get("wrong"))), tuple(_numbers(found.get("right"))))
        for gate, found in infos.items()
        if isinstance(found, Mapping)
    }


def _numbers(values: Any) -> Iterable[float]:
    """The numbers of a list; anything else in it, as in an edited file, is left out."""
    kept = values if isinstance(values, list) else []
    numbers = (one for one in kept if isinstance(one, int | float) and not isinstance(one, bool))
    return (float(one) for one in numbers if abs(one) <= MOST)
