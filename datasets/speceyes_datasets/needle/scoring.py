"""The verdict on an answer: by its option, or by the attributes that a description names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from speceyes_cli.plugin import Sample, Verdict, score_choice
from speceyes_datasets.needle.scene import COLOURS, NOTHING

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "size": ("large", "small"),
    "colour": (*COLOURS, NOTHING),
    "side": ("left", "right"),
}
FILLERS = frozenset(
    {
        *("a", "an", "and", "are", "has", "have", "in", "is", "it", "its", "of", "on", "the"),
        *("then", "there", "they", "this", "with"),
        *("colour", "colours", "disc", "discs", "dot", "dots", "side", "sides", "size"),
    }
)
"""Words beside which the attributes mean what they say; any other may deny or doubt them."""


def score_answer(sample: Sample, text: str) -> Verdict:
    """By the option that the answer names, or for a question without options by its attributes."""
    return score_choice(sample, text) if sample.options else score_description(sample, text)


def score_description(sample: Sample, text: str) -> Verdict:
    """Right when sizes, colours and sides are those of the known answer, each in its order.

    An attribute that was not asked for does not count, nor does the colour of the disc that the
    question named. Undecided when the answer holds a word beside attributes and fillers, or none.
    """
    said = read_attributes(text)
    if said is None or sample.answer is None:
        return Verdict(None, "none")
    known = read_attributes(sample.answer) or {}
    asked = sample.meta.get("disc")
    if asked not in known.get("colour", ()):
        said = {name: tuple(w for w in words if w != asked) for name, words in said.items()}
    right = all(said.get(name, ()) == words for name, words in known.items())
    return Verdict(right, "text")


def read_attributes(text: str) -> dict[str, tuple[str, ...]] | None:
    """The attributes that a text names, by what they tell and in order.

    None for a text with other words, or without an attribute.
    """
    words = re.findall(r"\w+", text.casefold())
    found = {
        name: tuple(word for word in words if word in known) for name, known in ATTRIBUTES.items()
    }
    told = {word for attribute in found.values() for word in attribute}
    if not told or not FILLERS | told >= set(words):
        return None
    return {name: attribute for name, attribute in found.items() if attribute}
