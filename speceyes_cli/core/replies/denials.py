"""What a sentence rules out: "not A", "B is wrong", "I don't think it is C"."""

from __future__ import annotations

from speceyes_cli.core.replies.clauses import Span
from speceyes_cli.core.replies.items import Item
from speceyes_cli.core.replies.vocabulary import ARTICLES, DENIES, OPENS, Role

NEAR = 8
"""Items that may stand between an announcement and what it announces."""
_MOST = 26
"""Options that a reply may join."""


class Denials:
    """What is denied in one sentence."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._denied: dict[int, bool] = {}

    def is_out(self, place: int) -> bool:
        """Whether a "not" before the item or a "wrong" after it rules it out."""
        denied = self._denied.get(place)
        if denied is None:
            denied = self._denied[place] = self._is_denied_before(place)
        return denied or self._is_denied_after(place)

    def _is_denied_before(self, place: int) -> bool:
        """Whether a "not" stands before it, or before what an "or" joins it to.

        Letters and texts are asked in order, so that those before are known.
        """
        joined = False
        for at in range(place - 1, max(self._span.start, place - 6) - 1, -1):
            item = self._span.items[at]
            if Role.NOT in item.roles:
                return True
            if item.names:
                return joined and self._denied.get(at, False)
            joined = joined or item.text == "or"
            passes = item.roles & {Role.FILL, Role.LABEL, Role.BE, Role.IT} and item.text != ":"
            if not (passes or item.text in ARTICLES or item.text in OPENS or item.text == "or"):
                return False
        return False

    def _is_denied_after(self, place: int) -> bool:
        at = self._span.after(self._last_of_several(place))
        first = self._span.item(at)
        if first is None:
            return False
        if first.text in ("(", ":", "-"):
            nearby = self._span.item(at + 1)
            return nearby is not None and Role.BAD in nearby.roles
        foreign = not first.text.isascii()
        if Role.BE not in first.roles and not foreign and not _denies(first):
            return False
        for step in range(6 if foreign else 4):
            item = self._span.item(at + step)
            if item is None or item.text == "," or item.names:
                return False
            denied = _denies(item) or Role.BAD in item.roles
            if denied and (foreign <= (not item.text.isascii())):
                return True
        return False

    def _last_of_several(self, place: int) -> int:
        """The last of several that one plural verb speaks of: "A, C and D are wrong"."""
        last, joined = place, False
        for _ in range(_MOST):
            at = self._span.after(last)
            item = self._span.item(at)
            if item is None:
                break
            joined = joined or Role.LIST in item.roles
            after = self._span.item(at + 1)
            if not (item.text == "," or Role.LIST in item.roles) or after is None:
                break
            if not after.names:
                break
            last = at + 1
        verb = self._span.text(self._span.after(last))
        return last if joined and verb in ("are", "aren't", "were", "weren't", "can't") else place

    def denied_before(self, announcement: int) -> bool:
        """Whether the clause denies what it is about to announce: "I don't think it is B"."""
        for at in range(announcement, max(self._span.start, announcement - NEAR) - 1, -1):
            if at != announcement and self._span.splits(at):
                return False
            item = self._span.items[at]
            if Role.NOT in item.roles or Role.BAD in item.roles:
                return True
        return False


def _denies(item: Item) -> bool:
    plainly = item.text in DENIES or item.text.endswith("n't") or not item.text.isascii()
    return Role.NOT in item.roles and plainly
