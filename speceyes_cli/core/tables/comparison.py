"""A run beside its baseline, sample by sample: time saved, and answers gained and lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from speceyes_cli.core.judging.verdicts import ERROR
from speceyes_cli.core.run.columns import YES, Columns
from speceyes_cli.core.run.store import SampleKey
from speceyes_cli.core.tables.intervals import (
    Interval,
    mcnemar,
    paired_speedup,
    share_right,
    usable_clusters,
)

if TYPE_CHECKING:
    from speceyes_cli.core.run.columns import Ints


class Pairs(NamedTuple):
    """The samples that two runs answered; two arrays of places, pair by pair."""

    before: Columns
    """The baseline's."""
    after: Columns
    """The run's."""
    places_before: Ints
    places_after: Ints

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.places_after)

    @property
    def cached(self) -> bool:
        """Whether any of their time was replayed from the call cache."""
        before = self.before.cached_seconds[self.places_before]
        return bool(before.any() or self.after.cached_seconds[self.places_after].any())

    def among(self, places: Ints) -> Pairs:
        """Only those whose places in the run are among these."""
        import numpy as np  # noqa: PLC0415 - slow to import

        kept = np.isin(self.places_after, places)
        return self._replace(
            places_before=self.places_before[kept], places_after=self.places_after[kept]
        )


class NetBenefit(NamedTuple):
    """Accepted samples by who was right; None where the agent's answer is unknown."""

    both_right: int | None = None
    both_wrong: int | None = None
    gain: int | None = None
    """The draft alone was right."""
    harm: int | None = None
    """The agent alone would have been right."""


def paired(before: Columns, after: Columns) -> Pairs:
    """The samples that both answered, in the order of `after`."""
    import numpy as np  # noqa: PLC0415 - slow to import

    known = before.by_key
    keys = map(SampleKey, after.split, after.sample_id)
    there = np.fromiter((known.get(key, -1) for key in keys), dtype=np.int64, count=len(after))
    places = np.flatnonzero((there >= 0) & after.answered)
    places = places[before.answered[there[places]]]
    return Pairs(before, after, there[places], places)


def speedup_of(pairs: Pairs) -> Interval | None:
    """The baseline's mean seconds over the run's; clusters are drawn whole where there are any."""
    return paired_speedup(
        pairs.before.seconds[pairs.places_before].tolist(),
        pairs.after.seconds[pairs.places_after].tolist(),
        _clusters(pairs.after, pairs.places_after),
    )


def mcnemar_of(pairs: Pairs) -> float | None:
    """McNemar's p that both are right equally often; None without samples that both judged."""
    before, after = pairs.before, pairs.after
    both = before.judged[pairs.places_before] & after.judged[pairs.places_after]
    if not both.any():
        return None
    first = before.right[pairs.places_before[both]] == YES
    second = after.right[pairs.places_after[both]] == YES
    return mcnemar(first.tolist(), second.tolist())


def agents_right(columns: Columns, pairs: Pairs | None) -> list[bool | None]:
    """Whether the agent had each sample right; None where no verdict on it is known.

    The run's own branch counts before the baseline's answer.
    """
    right: list[bool | None] = [None] * len(columns)
    if pairs is not None:
        told = pairs.before.judged & pairs.before.has_verdict
        rights, told_list = pairs.before.right.tolist(), told.tolist()
        places = zip(pairs.places_before.tolist(), pairs.places_after.tolist(), strict=True)
        for before, after in places:
            if told_list[before]:
                right[after] = rights[before] == YES
    if (branch := columns.branches.get("large")) is not None:
        for place, provenance in enumerate(branch.provenance):
            if provenance is not None:
                right[place] = None if provenance == ERROR else bool(branch.right[place] == YES)
    return right


def net_benefit(columns: Columns, places: Ints, pairs: Pairs | None) -> NetBenefit:
    """Accepted samples by who was right."""
    agent = agents_right(columns, pairs)
    stood = places[(columns.drafts.accepted[places] == YES) & columns.judged[places]]
    rights = columns.right.tolist()
    views = Counter(
        (rights[place] == YES, theirs)
        for place in stood.tolist()
        if (theirs := agent[place]) is not None
    )
    if not views:
        return NetBenefit()
    return NetBenefit(
        views[True, True], views[False, False], views[True, False], views[False, True]
    )


def accuracy_of(columns: Columns, places: Ints) -> Interval | None:
    """The share of right answers: Wilson's interval, or by clusters where samples share them."""
    right = (columns.right[places] == YES).tolist()
    return share_right(right, _clusters(columns, places))


def _clusters(columns: Columns, places: Ints) -> Sequence[str] | None:
    """A cluster for each record; None where no two share one, or there are too few."""
    named = ((place, columns.cluster[place]) for place in places.tolist())
    names = [f"alone {place}" if name is None else f"cluster {name}" for place, name in named]
    return usable_clusters(names)
