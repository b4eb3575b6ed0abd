"""Options that carry letters or numbers of their own, or speak of the options around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_LABEL = re.compile(
    r"\s*(?:[(\[]\s?([A-Za-z]|\d{1,2})\s?[)\]][.:]?\s*|([A-Za-z]|\d{1,2})(?:\)\s*|[.:]\s+))(?=\S)"
)
_ABOVE = re.compile(
    r"\s*(?:all|none|any|some|both|two|neither|either)(?: of)?(?: the)?"
    r" (?:above|preceding|previous|foregoing)\b",
    re.IGNORECASE,
)
"""Means the options before it."""
_THESE = re.compile(
    r"\s*(?:all|none|any|neither)(?: of)?(?: the)? (?:these|others?|options|choices|answers)\b",
    re.IGNORECASE,
)
"""Means the other options, wherever they stand; by custom it is the last one."""
_LETTER = r"(?i:options? |choices? |answers? )?\(?([A-Z])\)?"
_LETTERS = re.compile(
    rf"\s*(?i:both |either |neither |only |not )?{_LETTER}(?:, {_LETTER})?(?:, {_LETTER})?,?"
    rf" (?i:and|or|nor|&) {_LETTER}(?i: are| is)?(?i: both)?(?i: correct| right| true)?\s*\.?\s*"
)
"""Names other options by their letters."""


class Labelled(NamedTuple):
    """An option with the letter or number that it carries."""

    label: str
    text: str


def labelled(options: Sequence[str]) -> tuple[Labelled, ...] | None:
    """The options apart from their labels; None unless these are A, B, … or 1, 2, … in any order.

    "A. red", "(A) red" and "1) red" carry one; "3.5 m", "10:15" and "J. Smith" do not.
    """
    found = [_LABEL.match(option) for option in options]
    parts = tuple(
        Labelled((match[1] or match[2]).upper(), option[match.end() :].strip())
        for match, option in zip(found, options, strict=True)
        if match is not None
    )
    labels = sorted((part.label for part in parts), key=lambda label: (len(label), label))
    count = len(options)
    letters = [chr(ord("A") + place) for place in range(count)]
    numbers = [str(place + 1) for place in range(count)]
    return parts if count > 1 and labels in (letters, numbers) else None


def without_labels(options: Sequence[str]) -> tuple[str, ...]:
    """The options as a prompt shows them behind letters of its own."""
    parts = labelled(options)
    return tuple(options) if parts is None else tuple(part.text for part in parts)


def places_kept(options: Sequence[str]) -> frozenset[int]:
    """The places of options that must stay where they are when the others are shuffled.

    "None of the above" as the last option stays last. Options with labels of their own, and those
    among which one names letters ("Both A and B") or means the ones above without being the last,
    all stay.
    """
    everything = frozenset(range(len(options)))
    above = {place for place, option in enumerate(options) if _ABOVE.match(option)}
    these = {place for place, option in enumerate(options) if _THESE.match(option)}
    letters = any(_names_letters(option, len(options)) for option in options)
    if letters or labelled(options) is not None or above - {len(options) - 1}:
        return everything
    return frozenset(above | these)


def _names_letters(option: str, count: int) -> bool:
    found = _LETTERS.fullmatch(option)
    return found is not None and all(
        ord(letter) - ord("A") < count for letter in found.groups() if letter is not None
    )
