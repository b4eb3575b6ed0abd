"""From a row of a file to a sample: identity, options and their order, and rows that are broken."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

from PIL import Image

from speceyes_cli.plugin import Picture, RowError, Sample, UsageError, places_kept

MOST_OPTIONS = 26
"""Options are lettered A to Z."""


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One row of a dataset's file."""

    where: str
    """File and line or row, as the user finds it."""
    number: int
    """Place in its file, from 1."""
    fields: Mapping[str, Any]
    """Values by column, the picture's left out."""
    picture: Picture | None = None
    """None: the row has none."""
    problem: str | None = None
    """What keeps the row from being read; None: nothing."""
    missing: str = "there is no picture"
    """What is said where there is no picture."""

    def text(self, column: str) -> str:
        """A column as text without outer blanks; `RowError` when it is missing or empty."""
        value = as_text(self.fields.get(column))
        if value is None:
            raise RowError(f"{self.where}: there is no text under {column!r}.")
        if not is_whole(value):
            raise RowError(f"{self.where}: the text under {column!r} holds half a character.")
        return value


class Order(NamedTuple):
    """How options are ordered: as published, or shuffled by a seed."""

    seed: int | None


def parse_order(text: str) -> Order:
    """Read "dataset" or "shuffle:SEED"; `UsageError` for anything else."""
    if text == "dataset":
        return Order(None)
    word, _, seed = text.partition(":")
    if word == "shuffle" and seed.isascii() and seed.isdigit():
        return Order(int(seed))
    raise UsageError(f"--option-order is dataset or shuffle:SEED, such as shuffle:0, not {text!r}.")


def shuffle_options(sample: Sample, order: Order, key: str, *, rotated: bool = False) -> Sample:
    """The sample with its options in the order that `key` and the seed give; the answer is text.

    The order depends on nothing else: not on the machine, nor on which samples come before. Options
    that mean others, such as "None of the above", or carry labels stay in place; where the sample
    is one of several rotations of its options, which stay balanced, all of its options do.
    """
    kept = places_kept(sample.options)
    if order.seed is None or (rotated and kept):
        return sample

    def rank(index: int) -> bytes:
        return hashlib.sha256(f"{order.seed}\0{key}\0{index}".encode()).digest()

    moved = iter(sorted(set(range(len(sample.options))) - kept, key=rank))
    places = [place if place in kept else next(moved) for place in range(len(sample.options))]
    return replace(sample, options=tuple(sample.options[place] for place in places))


def make_samples(
    rows: Iterable[SampleRow],
    split: str,
    identify: Callable[[SampleRow], str | None],
    parse: Callable[[SampleRow, str], Sample],
) -> Iterator[Sample]:
    """A sample for every row, the broken ones included: their picture raises the `RowError`.

    `parse` takes a row and its id. A repeated id gets the row's number behind it, and the sample
    says so in its meta under "repeated_id".
    """
    seen: set[str] = set()
    for row in rows:
        name = whole_text(identify(row) or f"row-{row.number}")
        unique = name if name not in seen else f"{name}#{row.number}"
        seen.add(unique)
        try:
            sample = parse(row, unique) if row.problem is None else raise_row(row, row.problem)
        except RowError as error:
            sample = broken_sample(unique, split, row.where, str(error))
        if unique != name:
            sample = replace(sample, meta={**sample.meta, "repeated_id": name})
        yield sample


def broken_sample(sample_id: str, split: str, where: str, sentence: str) -> Sample:
    """A sample that fails with this sentence as soon as its picture is looked at."""
    return Sample(sample_id, split, failing_picture(where, sentence), question="")


def failing_picture(name: str, sentence: str) -> Picture:
    """A picture whose opening raises this."""

    def fail() -> Image.Image:
        raise RowError(sentence)

    return Picture(name, fail)


def check_options(row: SampleRow, options: Sequence[Any]) -> tuple[str, ...]:
    """Options as texts; `RowError` unless there are 1 to 26, none of them empty."""
    if not 1 <= len(options) <= MOST_OPTIONS:
        raise RowError(f"{row.where}: there are {len(options)} options instead of 1 to 26.")
    texts = [as_text(option) for option in options]
    if None in texts:
        raise RowError(f"{row.where}: option {letter(texts.index(None))} is empty or no text.")
    for place, text in enumerate(texts):
        if not is_whole(text or ""):
            raise RowError(f"{row.where}: option {letter(place)} holds half a character.")
    return tuple(text for text in texts if text is not None)


def option_of(row: SampleRow, said: str, options: Sequence[str]) -> str:
    """The text of the option with this letter; `RowError` when there is none."""
    name = said.strip().strip("().").upper()
    if len(name) == 1 and 0 <= ord(name) - ord("A") < len(options):
        return options[ord(name) - ord("A")]
    letters = f"A to {letter(len(options) - 1)}"
    raise RowError(f"{row.where}: the answer {said[:40]!r} is none of the options, {letters}.")


def picture_of(row: SampleRow) -> Picture:
    """The row's picture, or one whose opening says that there is none.

    What the row asks is the same without it, so that putting it back changes no question.
    """
    return row.picture or failing_picture(row.where, f"{row.where}: {row.missing}.")


def as_text(value: Any) -> str | None:
    """Text without outer blanks, or a number as text; None for what is neither, NaN, or empty."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    try:
        return str(value).strip() or None
    except ValueError:  # an integer of more digits than Python writes
        return None


def is_whole(text: str) -> bool:
    """Whether the text can be written: half a character (a lone surrogate) cannot."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def whole_text(text: str) -> str:
    """The text with the replacement character in the place of each half character."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def letter(index: int) -> str:
    """A for 0."""
    return chr(ord("A") + index)


def digest(*parts: object) -> str:
    """A short name for these values that differs whenever they do."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def raise_row(row: SampleRow, problem: str) -> NoReturn:
    """Raise the `RowError` that this is wrong with the row."""
    raise RowError(f"{row.where}: {problem}.")
