"""Which option a reply means that is a part of its text: "rubber" for "The cup is of rubber"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from speceyes_cli.core.replies.tokens import tokenize
from speceyes_cli.core.replies.vocabulary import EMPTY_WORDS, Role, roles

_ARTICLES = frozenset({"a", "an", "the"})


class Part(NamedTuple):
    """An option's words, and those among them that no other option has in their place."""

    option: int
    words: tuple[str, ...]
    start: int
    stop: int

    def is_meant_by(self, said: tuple[str, ...]) -> bool:
        """Whether these are words of it in their order, all of its own among them."""
        starts = range(min(self.start, len(self.words) - len(said)) + 1)
        return any(
            start + len(said) >= self.stop and self.words[start : start + len(said)] == said
            for start in starts
        )


def read_parts(options: Sequence[str], longest: int) -> tuple[Part, ...]:
    """What sets each option apart from the words that all begin and end with.

    Empty where something else than such words differs, where they deny, and where an option has
    more words than `longest`. Articles are left out where all options begin with one. Options such
    as "none of these" are no part of it.
    """
    every = [(place, words) for place, words in _words(options) if words[0] not in EMPTY_WORDS]
    if all(words[0] in _ARTICLES and len(words) > 1 for _, words in every):
        every = [(place, words[1:]) for place, words in every]
    texts = {words for _, words in every}
    shortest = min(map(len, texts), default=0)
    before = _shared([words[:shortest] for words in texts])
    behind = _shared([words[::-1][:shortest] for words in texts])
    if len(texts) < 2 or before + behind >= shortest or max(map(len, texts)) > longest:  # noqa: PLR2004 - one stands alone
        return ()
    parts = tuple(Part(place, words, before, len(words) - behind) for place, words in every)
    first = parts[0]
    around = (*first.words[: first.start], *first.words[first.stop :])
    return () if any(map(_denies, around)) else parts


def meant_by_part(text: str, parts: Sequence[Part]) -> set[int]:
    """The options of which the text is such a part; a single Latin letter is none."""
    said = tuple(token.text for token in tokenize(text))
    if said and said[0] in _ARTICLES - {"a"}:  # which may be the letter of another option
        said = said[1:]
    if not said or (len(said) == 1 and len(said[0]) == 1 and "a" <= said[0] <= "z"):
        return set()
    return {part.option for part in parts if part.is_meant_by(said)}


def _words(options: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    for place, option in enumerate(options):
        words = tuple(token.text for token in tokenize(option))
        if words:
            yield place, words


def _shared(sequences: Sequence[tuple[str, ...]]) -> int:
    """How many words all of them, equally long, begin with."""
    columns = zip(*sequences, strict=True)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _denies(word: str) -> bool:
    found = roles().at([word], 0)
    return found is not None and Role.NOT in found[1]
