"""Does a model prefer a letter? Where its answers fall among A, B, C, …, and the right ones.

A model that always says "A" scores 100% where the right option always comes first, so every
multiple-choice table shows this beside its accuracy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from speceyes_cli.core.replies.choices import parse_choice
from speceyes_cli.core.run.records import Record


@dataclass(frozen=True, slots=True)
class PositionBias:
    """Shares by letter, 0 to 1, over the same letters; each adds up to 1 where it is not empty."""

    predicted: Mapping[str, float]
    """Of the answers that name one option."""
    golden: Mapping[str, float]
    """Of the right options."""


def position_bias(records: Iterable[Record]) -> PositionBias | None:
    """The shares over multiple-choice records; None when no record has options and an answer.

    An answer that names no option or several counts for no letter.
    """
    predicted: Counter[int] = Counter()
    golden: Counter[int] = Counter()
    places = 0
    for record in records:
        if record.answer not in record.options:
            continue
        places = max(places, len(record.options))
        golden[record.options.index(record.answer)] += 1
        option = parse_choice(record.text or "", record.options).option
        if option is not None:
            predicted[option] += 1
    if not places:
        return None
    return PositionBias(_shares(predicted, places), _shares(golden, places))


def _shares(counts: Counter[int], places: int) -> dict[str, float]:
    whole = counts.total() or 1
    return {chr(ord("A") + place): counts[place] / whole for place in range(places)}
