"""The words by which an answer is announced, doubted or denied, in the languages models answer in.

They stand in `vocabulary.toml`; a word may have several roles.
"""

from __future__ import annotations

import tomllib
import unicodedata
from enum import StrEnum, auto
from functools import cache
from pathlib import Path

from speceyes_cli.core.replies.clean import CLOSE, OPEN
from speceyes_cli.core.replies.tokens import Phrases


class Role(StrEnum):
    """What a word does to a letter or an option's text near it."""

    NOUN = auto()
    """Announces an answer: "answer", "Antwort"."""
    LABEL = auto()
    """Stands before a letter, whether or not it is the answer: "option B"."""
    VERB = auto()
    """Announces a choice: "I choose"."""
    IT = auto()
    """Announces one weakly: "it is"."""
    BE = auto()
    """A verb after which something is said of what stands before it."""
    FILL = auto()
    """May stand between an announcement and the answer."""
    LEAD = auto()
    """May begin a sentence that is nothing but the answer: "so", "therefore"."""
    TURN = auto()
    """Begins a new thought within a sentence: "but", "because"."""
    REASON = auto()
    """Begins the reason for what stands before it."""
    LIST = auto()
    """Joins several: "and", "or", a slash."""
    NOT = auto()
    """Denies what stands beside it."""
    BAD = auto()
    """Says of an option that it is not the answer: "wrong"."""
    GOOD = auto()
    """Says of an option that it is the answer: "correct"."""
    MAYBE = auto()
    """Leaves open what stands in its clause."""
    IF = auto()
    """Makes its whole sentence depend on something."""
    PLAN = auto()
    """Says what is about to be done: "let me zoom in"."""
    CHANGE = auto()
    """Takes back what stood before: "wait"."""


BOUNDS = frozenset({".", "!", "?", ";", "\n", "。", "…", "|"})
"""Signs that end a sentence; compatibility forms such as a full-width stop are one with these."""
OPENS = frozenset("([{\"'<")
CLOSES = frozenset(")]}\"'>")
DASHES = frozenset({"-", "→", "⇒"})
ARTICLES = frozenset(
    {"a", "an", "the", "in", "on", "at", "with", "of", "about", "ein", "eine", "un", "une", "una"}
)
"""Words that may stand between an announcement and an option's text."""
CONCLUDES = frozenset({"so", "therefore", "thus", "hence", "but", "then", "donc", "所以", "因此"})
"""Words after which nothing but an answer may follow in a sentence."""
DENIES = frozenset(
    {"not", "never", "no", "cannot", "cant", "isnt", "dont", "doesnt", "nicht", "pas"}
)
"""Words behind an option, or behind its verb, that rule it out; those in "n't" do, too."""
NUMBERS = frozenset({"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"})
EMPTY_WORDS = frozenset(
    {"yes", "no", "none", "both", "neither", "not", "all", "never", "either", "other", "maybe"}
)
"""Options of these words only are named by standing where an answer stands, not by a mention."""


@cache
def roles() -> Phrases[frozenset[Role]]:
    """Every phrase with all of its roles."""
    found: dict[str, set[Role]] = {}
    for role, phrases in _words()["roles"].items():
        for phrase in phrases:
            found.setdefault(unicodedata.normalize("NFKC", phrase), set()).add(Role(role))
    for marker in (OPEN, CLOSE):
        found[marker] = {Role.FILL}
    return Phrases((phrase, frozenset(having)) for phrase, having in found.items())


@cache
def answering_words() -> Phrases[int]:
    """The words that answer: 0 for a yes, 1 for a no."""
    answers = _words()["answers"]
    return Phrases([(word, 0) for word in answers["yes"]] + [(word, 1) for word in answers["no"]])


@cache
def _words() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text("utf-8"))
