"""Two runs side by side: the samples on which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from speceyes_cli.core.tables.intervals import mcnemar
from speceyes_cli.view.record_index import RIGHT, UNDECIDED, RecordIndex

SHOWN = ("verdict", "only first right", "only second right", "answer", "route")
"""How two runs may differ on a sample."""


class Difference(NamedTuple):
    """One sample by its place in the index of either run."""

    first: int
    second: int


class Comparison(NamedTuple):
    """What two runs made of the samples that both have."""

    shared: int
    """Samples that both have."""
    only_first: int
    """Shared ones that the first run alone has right."""
    only_second: int
    """Shared ones that the second run alone has right."""
    p: float | None
    """McNemar's exact p that both are right equally often; None without samples both judged."""
    differences: Sequence[Difference]
    """Those that differ as was asked, in the first run's order."""


def compare(first: RecordIndex, second: RecordIndex, order: Sequence[int], how: str) -> Comparison:
    """Compare two runs' answers; `order` are places of the first, `how` is one of `SHOWN`."""
    known = _by_sample(second)
    names = first.split_names
    rights: list[tuple[bool, bool]] = []
    pairs, found = 0, []
    for place in order:
        row = first.rows[place]
        other = known.get((names[row["split"]], first.sample_ids[place]))
        if other is None:
            continue
        pairs += 1
        their = second.rows[other]
        right, their_right = row["right"] == RIGHT, their["right"] == RIGHT
        if row["right"] >= UNDECIDED and their["right"] >= UNDECIDED:
            rights.append((bool(right), bool(their_right)))
        differs = {
            "verdict": row["right"] != their["right"],
            "only first right": right and not their_right,
            "only second right": their_right and not right,
            "answer": row["said"] != their["said"],
            "route": row["route"] != their["route"],
        }
        if differs[how]:
            found.append(Difference(place, other))
    return Comparison(
        shared=pairs,
        only_first=sum(one and not other for one, other in rights),
        only_second=sum(other and not one for one, other in rights),
        p=mcnemar([one for one, _ in rights], [other for _, other in rights]) if rights else None,
        differences=found,
    )


def _by_sample(index: RecordIndex) -> dict[tuple[str, str], int]:
    names = index.split_names
    splits = index.rows["split"]
    return {
        (names[split], name): place
        for place, (split, name) in enumerate(zip(splits, index.sample_ids, strict=True))
    }
