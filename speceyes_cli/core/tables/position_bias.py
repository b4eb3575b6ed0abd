"""Does a model prefer a letter? Where its answers fall among A, B, C, …, and the right ones.

A model that always says "A" scores 100% where the right option always comes first, so every
multiple-choice table shows this beside its accuracy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from speceyes_cli.core.replies.choices import parse_choice

if TYPE_CHECKING:
    from speceyes_cli.core.run.columns import Columns


@dataclass(frozen=True, slots=True)
class PositionBias:
    """Shares by letter, 0 to 1, over the same letters; each adds up to 1 where it is not empty."""

    predicted: Mapping[str, float]
    """Of the answers that name one option."""
    golden: Mapping[str, float]
    """Of the right options."""


class Letters(NamedTuple):
    """The places of options, 0 for the first, in one multiple-choice record."""

    right: int
    said: int | None
    """None: the answer names no option, or several."""
    options: int
    """How many there are."""


def read_letters(columns: Columns) -> list[Letters | None]:
    """Where each answer falls; None for a record without options among which the answer is."""
    known: dict[tuple[str, tuple[str, ...]], int | None] = {}
    found: list[Letters | None] = []
    for text, options, answer in zip(columns.text, columns.options, columns.answer, strict=True):
        if answer is None or answer not in options:
            found.append(None)
            continue
        said = (text or "", options)
        if said not in known:
            known[said] = parse_choice(*said).option
        found.append(Letters(options.index(answer), known[said], len(options)))
    return found


def position_bias(letters: Iterable[Letters | None]) -> PositionBias | None:
    """The shares over multiple-choice records; None when there is none.

    An answer that names no option or several counts for no letter.
    """
    read = [one for one in letters if one is not None]
    if not read:
        return None
    places = max(one.options for one in read)
    predicted = Counter(one.said for one in read if one.said is not None)
    golden = Counter(one.right for one in read)
    return PositionBias(_shares(predicted, places), _shares(golden, places))


def _shares(counts: Counter[int], places: int) -> dict[str, float]:
    whole = counts.total() or 1
    return {chr(ord("A") + place): counts[place] / whole for place in range(places)}
