"""How a letter or an option's text may stand in a reply."""

from __future__ import annotations

from enum import StrEnum, auto


class Status(StrEnum):
    """How a letter or an option's text stands in a reply."""

    ANSWER = auto()
    """Announced as the answer, or standing where nothing else can."""
    BEGINS = auto()
    """A letter that begins a sentence, as in "B. green", where a reply may list all of them."""
    OWN = auto()
    """An option's text behind its own letter."""
    SEVERAL = auto()
    """One of several that are joined."""
    DOUBTED = auto()
    """Hedged, or under a condition."""
    OUT = auto()
    """Ruled out."""
    ASKED = auto()
    """In a question."""
    TOLD = auto()
    """A text of which something is told: "the red one is farther"."""
    MENTIONED = auto()
    """Anything else."""
