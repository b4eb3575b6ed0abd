"""A part of a reply, and the clauses that it falls into."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from speceyes_cli.core.replies.items import Item
from speceyes_cli.core.replies.vocabulary import CLOSES, DASHES, Role

_VERBS = frozenset({Role.BE, Role.IT})


class Clause(NamedTuple):
    """A part of a sentence between commas and the like."""

    start: int
    stop: int
    verb: int | None
    """The place of its first verb."""
    doubts: bool
    """Whether a word such as "maybe" stands in it."""


class Span:
    """A sentence's items by their places in the whole reply."""

    def __init__(self, items: Sequence[Item], places: range) -> None:
        """`places` are those of the sentence among all `items` of the reply."""
        self.items = items
        self.start, self.stop = places.start, places.stop
        self._clauses = list(self._read_clauses(places))
        self._clause_stops = [clause.stop for clause in self._clauses]

    def item(self, place: int) -> Item | None:
        """The item there; None outside the sentence."""
        return self.items[place] if self.start <= place < self.stop else None

    def text(self, place: int) -> str:
        """What stands there, also outside the sentence; a line's end outside the reply."""
        return self.items[place].text if 0 <= place < len(self.items) else "\n"

    def after(self, place: int) -> int:
        """The first place behind an item and the brackets and quotes that close after it."""
        place += 1
        while (item := self.item(place)) is not None and item.text in CLOSES:
            place += 1
        return place

    def splits(self, place: int) -> bool:
        """Whether a clause ends here."""
        item = self.items[place]
        dash = item.text in DASHES and not item.glued
        return item.text in (",", ":") or dash or Role.TURN in item.roles

    def _read_clauses(self, places: range) -> Iterator[Clause]:
        start = self.start
        for stop in (*filter(self.splits, places), self.stop):
            items = self.items[start:stop]
            verbs = (at for at, item in enumerate(items, start) if item.roles & _VERBS)
            doubts = any(Role.MAYBE in item.roles for item in items)
            yield Clause(start, stop, next(verbs, None), doubts)
            start = stop + 1

    def clause(self, place: int) -> Clause:
        """The clause that the place is in."""
        return self._clauses[bisect_left(self._clause_stops, place)]
