"""The score that a model gives a step: one digit."""

from __future__ import annotations

from speceyes_cli.core.replies.clean import CLOSE, OPEN, clean
from speceyes_cli.core.replies.tokens import Token, tokenize_reply

_CUES = frozenset({"score", "rating", "grade", "rate", "give", "points", "mark"})
_COUNTED = frozenset({"step", "steps", "turn", "box", "option", "#", "no", "number"})
"""Words before a number that numbers something else."""
_GOES_ON = frozenset({"because", "since", "as", "out", "of", "points", "for", "or", "and", "to"})
"""Words after a number that it does not count."""
_BEST = "9"


def read_score(text: str) -> int | None:
    """The digit from 0 to 9 that a reply gives as its score; None where it gives none, or several.

    The number of a step is no score, "8/9" is 8, and a number of two digits or out of ten is none.
    """
    said = clean(text)
    found = tokenize_reply(said.replace("/", " / ")) if said is not None else None
    tokens = [token for token in found or () if token.text not in (OPEN, CLOSE)]
    numbers = _numbers(tokens)
    if not numbers:
        return None
    scored = [place for place in numbers if _follows_cue(tokens, place)]
    colon = [place for place in numbers if place and tokens[place - 1].text in (":", "=")]
    first = [place for place in numbers if place == _first(tokens) and _ends(tokens, place)]
    chosen = scored or colon or first or numbers
    said_numbers = {tokens[place].text for place in chosen}
    if len(said_numbers) > 1:
        return None
    [number] = said_numbers
    return int(number) if len(number) == 1 and number.isascii() else None


def _numbers(tokens: list[Token]) -> list[int]:
    """Places of numbers that may be the score; none where it is out of another number than 9."""
    found = []
    for place, token in enumerate(tokens):
        if token.kind != "number":
            continue
        before = tokens[place - 1].text if place else ""
        earlier = tokens[place - 2].text if place > 1 else ""
        if before == "/" or (before == "of" and earlier == "out"):
            if token.text != _BEST:
                return []
        elif before not in _COUNTED and not _counts(tokens, place):
            found.append(place)
    return found


def _counts(tokens: list[Token], place: int) -> bool:
    """Whether a word follows that the number counts: "2 boxes"."""
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    return after is not None and after.kind == "word" and after.text not in _GOES_ON


def _ends(tokens: list[Token], place: int) -> bool:
    """Whether the number is not one of several that are joined."""
    after = tokens[place + 1].text if place + 1 < len(tokens) else ""
    return after not in ("or", "and", "to")


def _follows_cue(tokens: list[Token], place: int) -> bool:
    return any(token.text in _CUES for token in tokens[max(0, place - 4) : place])


def _first(tokens: list[Token]) -> int:
    """The place of the first token that is not a sign."""
    return next((i for i, token in enumerate(tokens) if token.kind != "sign"), -1)
