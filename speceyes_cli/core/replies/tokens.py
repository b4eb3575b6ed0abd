"""Words, numbers and signs of a text, each found in one pass from left to right."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

_JOINED = (
    "\u0e00-\u0e7f\u1100-\u11ff\u3005\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
)
"""Scripts that join words, or a letter and its particle, without a blank: a token a character."""
_TOKEN = re.compile(
    r"(?P<line>\n)"
    rf"|(?P<joined>[{_JOINED}])"
    r"|(?P<number>(?:(?<![\w)\]])-)?\d++(?:[.,:/-]\d++)*+(?![^\W_"
    rf"{_JOINED}]))"
    rf"|(?P<word>[^\W_{_JOINED}]++(?:['-][^\W_{_JOINED}]++)*+)"
    r"|(?P<sign>\S)"
)
MOST_TOKENS = 2_000
"""Tokens of a reply that are read: some 9,000 characters of English."""
_MARKUP = frozenset("*`_~\u200b")
V = TypeVar("V")


class Token(NamedTuple):
    """A word, a number, a sign, a line's end, or one character of a script without blanks."""

    kind: str
    """"line", "joined", "number", "word" or "sign"."""
    text: str
    """In one case."""
    said: str
    """As it was written."""
    glued: bool
    """Whether no blank stands before it."""


def tokenize_reply(text: str) -> list[Token] | None:
    """A reply's tokens; None where they are more than `MOST_TOKENS`."""
    tokens = tokenize(text, most=MOST_TOKENS + 1)
    return tokens if len(tokens) <= MOST_TOKENS else None


def tokenize(text: str, most: int = sys.maxsize) -> list[Token]:
    """The tokens of a text, without marks that only set its type: stars, backticks, `$` and `#`.

    No more than the first `most` of them.
    """
    found: list[Token] = []
    end = -1
    for match in _TOKEN.finditer(text):
        said = match.group()
        if said not in _MARKUP and not _sets_type(said, match, found):
            kind = match.lastgroup or "sign"
            found.append(Token(kind, said.casefold(), said, match.start() == end))
            if len(found) == most:
                break
        end = match.end()
    return found


def _sets_type(said: str, match: re.Match[str], before: Sequence[Token]) -> bool:
    """Whether it is a formula's `$`, not a price's, or a heading's `#`, not a number's."""
    after = match.string[match.end() : match.end() + 1]
    if said == "$":
        return not after.isdigit()
    return said == "#" and (not before or before[-1].kind == "line") and after in ("#", " ")


class Phrases(Generic[V]):
    """Finds phrases of one or more tokens; the longest one wins."""

    def __init__(self, phrases: Iterable[tuple[str, V]]) -> None:
        """Phrases in any case with their values; for a phrase that comes twice, the first."""
        self._by_first: dict[str, dict[tuple[str, ...], V]] = {}
        for phrase, value in phrases:
            words = tuple(token.text for token in tokenize(phrase))
            if words:
                self._by_first.setdefault(words[0], {}).setdefault(words, value)
        self._lengths: Mapping[str, Sequence[int]] = {
            first: sorted({len(words) for words in known}, reverse=True)
            for first, known in self._by_first.items()
        }

    def at(self, words: Sequence[str], place: int) -> tuple[int, V] | None:
        """How many tokens the longest phrase at this place has, and its value; None without."""
        known = self._by_first.get(words[place])
        if known is None:
            return None
        for length in self._lengths[words[place]]:
            phrase = tuple(words[place : place + length])
            if phrase in known:
                return len(phrase), known[phrase]
        return None
