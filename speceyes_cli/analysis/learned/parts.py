"""Two parts of a run that share no picture and no cluster: one to fit on, one to certify on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from speceyes_cli.analysis.learned.gate_file import LearnedGate
from speceyes_cli.analysis.settings import data_of
from speceyes_cli.analysis.table import ScoredSample, ScoreTable
from speceyes_cli.core.errors import DataError

PICTURE_DIGITS = 16
"""Hexadecimal digits of a picture's digest that are kept."""


class Parts(NamedTuple):
    """The samples of one run, divided."""

    fitted: list[int]
    """Places in the table."""
    held: list[int]


def key_of(sample: ScoredSample) -> str:
    """The name that a sample has within its dataset."""
    return f"{sample.split}/{sample.sample_id}"


def picture_of(sample: ScoredSample) -> str | None:
    """The start of its picture's digest; None where it is not known."""
    return None if sample.picture_digest is None else sample.picture_digest[:PICTURE_DIGITS]


def independent_groups(samples: Sequence[ScoredSample]) -> list[list[int]]:
    """Places of samples that are linked by a shared cluster or picture, a list for each group."""
    leader = list(range(len(samples)))

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    first: dict[str, int] = {}
    for place, sample in enumerate(samples):
        picture = picture_of(sample)
        links = [sample.cluster, *([f"picture {picture}"] if picture is not None else [])]
        for link in links:
            leader[find(place)] = find(first.setdefault(link, place))
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(samples)):
        groups[find(place)].append(place)
    return list(groups.values())


def group_names(samples: Sequence[ScoredSample]) -> list[str]:
    """Each sample's independent group by name: its cluster's, or that of one it shares with."""
    names = [sample.cluster for sample in samples]
    for group in independent_groups(samples):
        for place in group:
            names[place] = samples[group[0]].cluster
    return names


def divide(samples: Sequence[ScoredSample], share: float) -> Parts:
    """Whole groups at random, of which the first part takes about this share of the samples.

    The order is that of a digest of the group's names: the same samples are always divided alike,
    in whatever order they come.
    """

    def place_in_order(group: list[int]) -> str:
        names = sorted(key_of(samples[place]) for place in group)
        return hashlib.sha256("\0".join(names).encode()).hexdigest()

    parts = Parts([], [])
    for group in sorted(independent_groups(samples), key=place_in_order):
        part = parts.fitted if len(parts.fitted) < share * len(samples) else parts.held
        part.extend(group)
    return parts


def part_of(table: ScoreTable, places: Sequence[int]) -> ScoreTable:
    """The table of these samples alone, in its order."""
    return replace(table, samples=tuple(table.samples[place] for place in sorted(places)))


def unseen(table: ScoreTable, gate: LearnedGate) -> ScoreTable:
    """The samples that the gate was not fitted on, nor on others of their cluster.

    Raises `DataError` when none is left, and when a sample that the gate does not know has a
    picture that it was fitted on: figures of such samples would flatter it.
    """
    known, clusters = set(gate.fitted.samples), set(gate.fitted.clusters)
    pictures, data = set(gate.fitted.pictures), data_of(table.config)
    left = []
    for place, sample in enumerate(table.samples):
        same_data = gate.data.get(sample.split, "") == data.get(sample.split)
        if same_data and (key_of(sample) in known or sample.cluster in clusters):
            continue
        if picture_of(sample) in pictures:
            raise DataError(
                f"The gate {gate.name} was fitted on the picture of {key_of(sample)} in "
                f"{gate.run}, so {table.run} says nothing honest of it; take other pictures."
            )
        left.append(place)
    if not left:
        raise DataError(
            f"The gate {gate.name} was fitted on every sample of {table.run}; take others, or the "
            "run it was learned from, of which it left a part out."
        )
    return part_of(table, left)
