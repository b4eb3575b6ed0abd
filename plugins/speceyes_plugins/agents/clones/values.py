"""What an expression of somebody's Python comes to without being run: texts with open places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["PICTURE", "Items", "Listed", "Part", "Place", "Table", "Text", "Value", "joined"]


class Place(NamedTuple):
    """Something that is known only when the code runs."""

    expression: str
    """As the code writes it."""


class Items(NamedTuple):
    """One text for each round of a loop."""

    each: Text
    between: str = ""


Part = str | Place | Items

PICTURE = Place("<picture>")
"""Where a message holds a picture."""


@dataclass(frozen=True, slots=True)
class Text:
    """Pieces of text and places, in order; neighbouring pieces are one."""

    parts: tuple[Part, ...] = ()

    @property
    def plain(self) -> str | None:
        """The text, where it has no place."""
        if not self.parts:
            return ""
        [first, *others] = self.parts
        return first if isinstance(first, str) and not others else None

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place, those of repeated parts too."""
        found: list[Place] = []
        for part in self.parts:
            if isinstance(part, Place):
                found.append(part)
            elif isinstance(part, Items):
                found += part.each.places
        return tuple(found)

    def __add__(self, other: Text) -> Text:
        return joined(self.parts + other.parts)


def joined(parts: tuple[Part, ...]) -> Text:
    """A text of these parts, neighbouring pieces put together and empty ones left out."""
    merged: list[Part] = []
    for part in parts:
        if part == "":
            continue
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return Text(tuple(merged))


@dataclass(frozen=True, slots=True)
class Table:
    """A dictionary of which the keys are known."""

    entries: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list; `repeated` is what a loop appends to it in each round."""

    items: tuple[Value, ...] = ()
    repeated: Value | None = None


Value = Text | Table | Listed
