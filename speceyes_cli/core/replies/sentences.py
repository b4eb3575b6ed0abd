"""How each letter and each option's text stands within its sentence."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from speceyes_cli.core.replies.items import Item, Kind, Options, same_option
from speceyes_cli.core.replies.status import Status
from speceyes_cli.core.replies.vocabulary import (
    ARTICLES,
    BOUNDS,
    CLOSES,
    CONCLUDES,
    DASHES,
    DENIES,
    OPENS,
    Role,
)

_NEAR = 8
"""Items that may stand between an announcement and what it announces."""
_LEADS = 12
"""Items that may stand before an answer at the beginning of a sentence."""
_MOST = 26
"""Options that a reply may join."""
_VERBS = frozenset({Role.BE, Role.IT})


class _Clause(NamedTuple):
    start: int
    stop: int
    verb: int | None
    """The place of its first verb."""
    doubts: bool
    """Whether a word such as "maybe" stands in it."""


class Sentence:
    """A sentence of a reply."""

    def __init__(
        self, items: Sequence[Item], places: range, known: Options, *, initial: bool
    ) -> None:
        """`initial`: a lone letter here may be somebody's initial."""
        self._items = items
        self._start, self._stop = places.start, places.stop
        self._known = known
        self._initial = initial
        self._asked = self._text(self._stop) == "?"
        self._conditional = any(Role.IF in items[place].roles for place in places)
        self._denied: dict[int, bool] = {}
        self._several = set(self._joined(places))
        self._clauses = list(self._read_clauses(places))
        self._clause_stops = [clause.stop for clause in self._clauses]

    def status(self, place: int) -> Status:
        """How the letter or text at this place stands."""
        item = self._items[place]
        if self._is_out(place):
            return Status.OUT
        if self._asked:
            return Status.ASKED
        announced = self._announced(place)
        if announced is None and item.kind is Kind.LETTER and self._labels_text(place):
            return Status.BEGINS
        if place in self._several:
            return Status.SEVERAL
        return self._stands(place, announced)

    def _stands(self, place: int, announced: Status | None) -> Status:
        """The status of what is neither ruled out nor one of several."""
        item = self._items[place]
        told = item.kind is Kind.TEXT and item.plain and self._is_told(place)
        if told and announced is None:
            return Status.ANSWER if self._is_good(place) else Status.TOLD
        if self._conditional or self._is_doubted(place):
            return Status.DOUBTED
        if announced is None and self._is_good(place):
            return Status.ANSWER
        stands = self._letter_stands if item.kind is Kind.LETTER else self._text_stands
        return announced or stands(place) or Status.MENTIONED

    def _item(self, place: int) -> Item | None:
        return self._items[place] if self._start <= place < self._stop else None

    def _text(self, place: int) -> str:
        return self._items[place].text if 0 <= place < len(self._items) else "\n"

    def _after(self, place: int) -> int:
        """The first place behind an item and the brackets and quotes that close after it."""
        place += 1
        while (item := self._item(place)) is not None and item.text in CLOSES:
            place += 1
        return place

    def _splits(self, place: int) -> bool:
        """Whether a clause ends here."""
        item = self._items[place]
        dash = item.text in DASHES and not item.glued
        return item.text in (",", ":") or dash or Role.TURN in item.roles

    def _read_clauses(self, places: range) -> Iterator[_Clause]:
        start = self._start
        for stop in (*filter(self._splits, places), self._stop):
            items = self._items[start:stop]
            verbs = (at for at, item in enumerate(items, start) if item.roles & _VERBS)
            doubts = any(Role.MAYBE in item.roles for item in items)
            yield _Clause(start, stop, next(verbs, None), doubts)
            start = stop + 1

    def _clause(self, place: int) -> _Clause:
        return self._clauses[bisect_left(self._clause_stops, place)]

    def _joined(self, places: range) -> Iterator[int]:
        """Places of letters and texts of different options that "or", commas and the like join."""
        group: list[int] = []
        for place in places:
            item = self._items[place]
            if not item.names or self._is_out(place):
                continue
            if group and self._joins(group[-1], place):
                if same_option(self._items[group[-1]].option, item.option, self._known):
                    group.append(place)
                    continue
                yield from (*group, place)
                group = [place]
            else:
                group = [place]

    def _joins(self, first: int, second: int) -> bool:
        between = self._items[first + 1 : second]
        if len(between) > 5:  # noqa: PLR2004 - brackets, a comma, a word and an article
            return False
        words = [item for item in between if item.text[:1].isalnum()]
        joining = [item for item in words if Role.LIST in item.roles or len(item.text) == 1]
        commas = any(item.text in (",", "/", "&", "+", "、") for item in between)
        rest = [w for w in words if w not in joining and w.text not in ARTICLES]
        if any(Role.MAYBE not in w.roles and Role.LABEL not in w.roles for w in rest):
            return False
        if any(item.text in (":", "-") for item in between):
            return False
        if not between:
            return self._items[first].kind is self._items[second].kind
        same = same_option(self._items[first].option, self._items[second].option, self._known)
        if not (joining or commas):
            return same or not words
        at = self._after(second)
        told = any(Role.BE in self._items[i].roles for i in range(at, min(at + 2, self._stop)))
        return same or not (told and not joining)

    def _is_out(self, place: int) -> bool:
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
        for at in range(place - 1, max(self._start, place - 6) - 1, -1):
            item = self._items[at]
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
        at = self._after(self._last_of_several(place))
        first = self._item(at)
        if first is None:
            return False
        if first.text in ("(", ":", "-"):
            nearby = self._item(at + 1)
            return nearby is not None and Role.BAD in nearby.roles
        foreign = not first.text.isascii()
        if Role.BE not in first.roles and not foreign and not _denies(first):
            return False
        for step in range(6 if foreign else 4):
            item = self._item(at + step)
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
            at = self._after(last)
            item = self._item(at)
            if item is None:
                break
            joined = joined or Role.LIST in item.roles
            after = self._item(at + 1)
            if not (item.text == "," or Role.LIST in item.roles) or after is None:
                break
            if not after.names:
                break
            last = at + 1
        verb = self._text(self._after(last))
        return last if joined and verb in ("are", "aren't", "were", "weren't", "can't") else place

    def _announced(self, place: int) -> Status | None:
        """ANSWER behind an announcement, DOUBTED behind a denied one, None without any."""
        linked = False
        for at in range(place - 1, max(self._start, place - _NEAR) - 1, -1):
            item = self._items[at]
            strong = Role.NOUN in item.roles or (linked and Role.LABEL in item.roles)
            linked = linked or Role.BE in item.roles or item.text in (":", "=")
            if strong or item.roles & {Role.VERB, Role.IT}:
                if not strong and not self._ends_well(place):
                    return None
                return Status.DOUBTED if self._denied_before(at) else Status.ANSWER
            text = self._items[place].kind is Kind.TEXT and item.text in ARTICLES
            passes = item.roles & {Role.FILL, Role.LABEL, Role.BE} and Role.NOT not in item.roles
            if not (passes or text or item.text in OPENS or item.text in DASHES):
                return None
        return None

    def _denied_before(self, announcement: int) -> bool:
        """Whether the clause denies what it is about to announce: "I don't think it is B"."""
        for at in range(announcement, max(self._start, announcement - _NEAR) - 1, -1):
            if at != announcement and self._splits(at):
                return False
            item = self._items[at]
            if Role.NOT in item.roles or Role.BAD in item.roles:
                return True
        return False

    def _ends_well(self, place: int) -> bool:
        """Whether after the item comes an end, a reason, or little else of what it names."""
        at = self._after(place)
        words = 2 if self._items[place].kind is Kind.TEXT else 0
        while (item := self._item(at)) is not None:
            if not item.text[0].isalnum() or not item.text.isascii():
                return True
            ends = {Role.REASON, Role.TURN}
            if self._items[place].kind is Kind.LETTER:
                ends |= {Role.BE}
            if item.roles & ends or item.text == "that":
                return True
            if same_option(item.option, self._items[place].option, self._known):
                return True
            if words == 0 or item.names:
                return False
            words -= 1
            at += 1
        return True

    def _is_doubted(self, place: int) -> bool:
        clause = self._clause(place)
        follows = self._item(clause.stop + 1)
        if clause.doubts or (follows is not None and Role.MAYBE in follows.roles):
            return True
        return self._items[self._start].text == "or" and place == self._start + 1

    def _is_told(self, place: int) -> bool:
        """Whether the item is what its clause speaks of: a verb follows and none comes before."""
        clause = self._clause(place)
        if clause.verb is not None:
            return clause.verb > place
        first = self._item(clause.start - 1)
        if first is None or Role.REASON not in first.roles or place - clause.start > _NEAR:
            return False
        begins = all(self._items[at].text in ARTICLES for at in range(clause.start, place))
        return begins and clause.stop - place > 2  # noqa: PLR2004 - two words

    def _is_good(self, place: int) -> bool:
        """Whether it is called right: "B is the correct answer"."""
        at = self._after(place)
        item = self._item(at)
        if (
            self._items[place].kind is Kind.TEXT
            and item is not None
            and not item.roles - {Role.FILL}
        ):
            at += 1
            item = self._item(at)
        if item is None or Role.BE not in item.roles or Role.NOT in item.roles:
            return False
        for step in range(at + 1, min(at + 6, self._stop)):
            item = self._items[step]
            if Role.GOOD in item.roles:
                after = self._item(step + 1)
                calls = {Role.NOUN, Role.LABEL, Role.TURN, Role.REASON}
                return (
                    after is None
                    or not after.text.isascii()
                    or not after.text[0].isalnum()
                    or after.text in ("one", "answer", "option", "choice", "match")
                    or bool(after.roles & calls)
                )
            if Role.FILL not in item.roles:
                return False
        return False

    def _letter_stands(self, place: int) -> Status | None:
        """Whether a letter stands where an answer stands: alone, or at the beginning."""
        if self._initial:
            return None
        after = self._item(self._after(place))
        if place - self._start > _LEADS:
            return Status.ANSWER if after is None and self._concludes(place) else None
        before = self._items[self._start : place]
        if before and before[-1].text in OPENS and after is None and self._behind_text(place):
            return Status.ANSWER
        if not all(_leads(item) for item in before):
            return Status.ANSWER if after is None and self._concludes(place) else None
        if after is not None:
            return Status.BEGINS if self._goes_on(place, after) else None
        whole = self._text(self._start - 1) == "\n" and self._text(self._stop) != "\n"
        return Status.BEGINS if whole and not self._ends_line(self._stop) else Status.ANSWER

    def _goes_on(self, place: int, after: Item) -> bool:
        """Whether a sentence goes on from its letter as from an answer: "B) green", "B, as"."""
        bracketed = self._after(place) > place + 1
        follows = self._item(self._after(place) + 1)
        if after.text == ":" and (
            self._text(place + 1) in "\"'" or (follows is not None and follows.kind is Kind.LETTER)
        ):
            return False  # a key in JSON, or short for "answer"
        if bracketed or after.text in (":", "(") or after.text in DASHES:
            return True
        if after.kind is Kind.TEXT:
            return True
        if not self._items[place].said.isupper():
            return False
        rejects = after.text in ("instead of", "rather")
        verbs = {Role.REASON, Role.TURN, Role.BE}
        foreign = not after.text.isascii()
        return after.text == "," or foreign or rejects or bool(after.roles & verbs)

    def _ends_line(self, place: int) -> bool:
        """Whether nothing but stops follows on the line."""
        while (text := self._text(place)) != "\n":
            if text not in BOUNDS and text not in CLOSES:
                return False
            place += 1
        return True

    def _labels_text(self, place: int) -> bool:
        """Whether a stop, bracket or colon and the letter's own text follow: "B. green"."""
        mark, text = place + 1, place + 2
        if text >= len(self._items) or self._text(mark) not in (".", ")", ":"):
            return False
        return same_option(self._items[text].option, self._items[place].option, self._known)

    def _behind_text(self, place: int) -> bool:
        before = range(max(self._start, place - 3), place)
        return any(self._items[at].kind is Kind.TEXT for at in before)

    def _concludes(self, place: int) -> bool:
        """Whether a "so" or a "but" and little else stands between the clause before and it."""
        for at in range(place - 1, max(self._start, place - _NEAR) - 1, -1):
            item = self._items[at]
            if item.text in CONCLUDES:
                return True
            if not (item.roles & {Role.LABEL, Role.LEAD} or item.text in OPENS or item.text == ","):
                return False
        return False

    def _text_stands(self, place: int) -> Status | None:
        """Whether an option's text is a sentence, or begins one that goes on with a comma."""
        before = [self._items[i] for i in range(self._start, min(place, self._start + _LEADS))]
        if place - self._start > _LEADS or not all(
            _leads(item) or item.text in ARTICLES for item in before
        ):
            return None
        at = self._after(place)
        after = self._item(at)
        says = self._items[place].text in ("yes", "no")
        if says and after and (Role.IT in after.roles or after.text in ("it", "there", "there's")):
            return Status.ANSWER
        if after is not None and not after.roles and after.text[0].isalnum() and not after.names:
            if not self._items[place].plain:
                return None
            at += 1
            after = self._item(at)
        ends = after is None or after.text in (",", ":", "(") or after.text in DASHES
        return Status.ANSWER if ends or (after and Role.REASON in after.roles) else None


def _denies(item: Item) -> bool:
    plainly = item.text in DENIES or item.text.endswith("n't") or not item.text.isascii()
    return Role.NOT in item.roles and plainly


def _leads(item: Item) -> bool:
    """Whether an item may stand before an answer that is a sentence of its own."""
    if item.roles & {Role.LEAD, Role.LABEL, Role.CHANGE}:
        return True
    return not item.text[0].isalnum() and item.text not in ("/", "&")
