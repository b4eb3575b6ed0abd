"""Questions and lettered options that stand in one text, an option a line."""

from __future__ import annotations

import re
from typing import NamedTuple

from speceyes_datasets.rows import SampleRow, raise_row

_OPTION = re.compile(r"\s*(?:\(([A-Z])\)|([A-Z])[.):])\s*(.*)")
"""A line such as "(A) red", "A. red", "A) red" or "A: red"."""
_INSTRUCTIONS = ("answer with", "please answer", "please select", "select the", "respond with")
"""How lines begin that ask for a letter; our prompts have their own."""


class LetteredQuestion(NamedTuple):
    """A text, taken apart."""

    question: str
    options: tuple[str, ...]


def take_apart(row: SampleRow, column: str) -> LetteredQuestion:
    """The question and the options under a column, options lettered from A on.

    Raises `RowError` where no question stands before the options.
    """
    question: list[str] = []
    options: list[str] = []
    for line in row.text(column).splitlines():
        match = _OPTION.fullmatch(line)
        if match and (match[1] or match[2]) == chr(ord("A") + len(options)):
            options.append(match[3])
        elif line.strip().lower().startswith(_INSTRUCTIONS):
            continue
        elif options:
            options[-1] = f"{options[-1]} {line}".strip()
        else:
            question.append(line)
    said = "\n".join(question).strip()
    return LetteredQuestion(
        said or raise_row(row, "there is no question before the options"), tuple(options)
    )


def without_letter(option: str, place: int) -> str:
    """An option's text without its own letter in front: "red" for "(A) red" in the first place."""
    match = _OPTION.fullmatch(option)
    own = match is not None and (match[1] or match[2]) == chr(ord("A") + place)
    return match[3] if match is not None and own else option
