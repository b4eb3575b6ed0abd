"""From a client's turns and their pictures to a sample, as policies know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from speceyes_cli.core.chat import Message, Picture
from speceyes_cli.core.samples import NO_PICTURE, Sample
from speceyes_cli.serve.http.turns import Address, Turn

SPLIT = "served"


def make_sample(name: str, turns: Sequence[Turn], pictures: Mapping[str, Picture]) -> Sample:
    """The last turn as the question, the others before it; `pictures` are known by their URLs."""
    *earlier, last = turns
    before = tuple(_message(turn, pictures) for turn in earlier)
    asked = _split(last)
    own = [pictures[part.url] for part in asked.shown if isinstance(part, Address)]
    seen = [pictures[url] for turn in earlier for url in turn.addresses]
    picture = next(iter(own), None) or next(reversed(seen), None) or NO_PICTURE
    return Sample(
        name,
        SPLIT,
        picture,
        asked.text,
        shown=tuple(pictures[p.url] if isinstance(p, Address) else p for p in asked.shown),
        earlier=before,
    )


class _Asked(NamedTuple):
    """A question's turn: what stands before the question, and the question."""

    shown: tuple[str | Address, ...]
    text: str


def _split(turn: Turn) -> _Asked:
    """Pictures first, then the words; where words stand between several pictures, as written."""
    kinds = [kind for kind, _ in groupby(isinstance(part, Address) for part in turn.content)]
    pictures = tuple(part for part in turn.content if isinstance(part, Address))
    if len(pictures) < 2 or kinds.count(True) == 1:  # noqa: PLR2004 - several
        return _Asked(pictures, turn.text)
    after = 1 + max(i for i, part in enumerate(turn.content) if isinstance(part, Address))
    rest = Turn(turn.role, turn.content[after:]).text
    if rest:
        return _Asked(turn.content[:after], rest)
    return _Asked(turn.content, turn.text)


def _message(turn: Turn, pictures: Mapping[str, Picture]) -> Message:
    """The turn, words that follow each other on lines of their own."""
    content: list[str | Picture] = []
    for part in turn.content:
        if isinstance(part, Address):
            content.append(pictures[part.url])
        elif content and isinstance(content[-1], str):
            content[-1] += f"\n{part}"
        else:
            content.append(part)
    return Message(turn.role, tuple(content))
