"""How each letter and each option's text stands within its sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from speceyes_cli.core.replies.clauses import Span
from speceyes_cli.core.replies.denials import NEAR, Denials
from speceyes_cli.core.replies.items import Item, Kind, Options, same_option
from speceyes_cli.core.replies.status import Status
from speceyes_cli.core.replies.vocabulary import (
    ARTICLES,
    BOUNDS,
    CLOSES,
    CONCLUDES,
    DASHES,
    OPENS,
    Role,
)

_LEADS = 12
"""Items that may stand before an answer at the beginning of a sentence."""


class Sentence:
    """A sentence of a reply."""

    def __init__(
        self, items: Sequence[Item], places: range, known: Options, *, initial: bool
    ) -> None:
        """`initial`: a lone letter here may be somebody's initial."""
        self._items = items
        self._start, self._stop = places.start, places.stop
        self._span = Span(items, places)
        self._denials = Denials(self._span)
        self._known = known
        self._initial = initial
        self._asked = self._span.text(self._stop) == "?"
        self._conditional = any(Role.IF in items[place].roles for place in places)
        self._several = set(self._joined(places))
        self._lists = False
        """An announcement led to one of several, as in "the answer is (A) red and (B) green"."""

    def status(self, place: int) -> Status:
        """How the letter or text at this place stands; asked for from left to right."""
        item = self._items[place]
        if self._denials.is_out(place):
            return Status.OUT
        if self._asked:
            return Status.ASKED
        announced = self._announced(place)
        joined = place in self._several
        labels = item.kind is Kind.LETTER and self._labels_text(place)
        if announced is None and labels and not (joined and self._lists):
            return Status.BEGINS
        if joined:
            self._lists = self._lists or announced is Status.ANSWER
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

    def _joined(self, places: range) -> Iterator[int]:
        """Places of letters and texts of different options that "or", commas and the like join."""
        group: list[int] = []
        for place in places:
            item = self._items[place]
            if not item.names or self._denials.is_out(place):
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
        at = self._span.after(second)
        told = any(Role.BE in self._items[i].roles for i in range(at, min(at + 2, self._stop)))
        return same or not (told and not joining)

    def _announced(self, place: int) -> Status | None:
        """ANSWER behind an announcement, DOUBTED behind a denied one, None without any."""
        linked = False
        for at in range(place - 1, max(self._start, place - NEAR) - 1, -1):
            item = self._items[at]
            strong = Role.NOUN in item.roles or (linked and Role.LABEL in item.roles)
            linked = linked or Role.BE in item.roles or item.text in (":", "=")
            if strong or item.roles & {Role.VERB, Role.IT}:
                if not strong and not self._ends_well(place):
                    return None
                return Status.DOUBTED if self._denials.denied_before(at) else Status.ANSWER
            article = item.text in ARTICLES and self._takes_article(at, place)
            passes = item.roles & {Role.FILL, Role.LABEL, Role.BE} and Role.NOT not in item.roles
            if not (passes or article or item.text in OPENS or item.text in DASHES):
                return None
        return None

    def _takes_article(self, at: int, place: int) -> bool:
        """Whether an article here belongs to what is announced: a text, or a labelled letter."""
        if self._items[place].kind is Kind.TEXT or Role.LABEL in self._items[at + 1].roles:
            return True
        return at > self._start and self._items[at - 1].text == "é"  # Portuguese: "é a B"

    def _ends_well(self, place: int) -> bool:
        """Whether after the item comes an end, a reason, or little else of what it names."""
        at = self._span.after(place)
        words = 2 if self._items[place].kind is Kind.TEXT else 0
        while (item := self._span.item(at)) is not None:
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
        clause = self._span.clause(place)
        follows = self._span.item(clause.stop + 1)
        if clause.doubts or (follows is not None and Role.MAYBE in follows.roles):
            return True
        return self._items[self._start].text == "or" and place == self._start + 1

    def _is_told(self, place: int) -> bool:
        """Whether the item is what its clause speaks of: a verb follows and none comes before."""
        clause = self._span.clause(place)
        if clause.verb is not None:
            return clause.verb > place
        first = self._span.item(clause.start - 1)
        if first is None or Role.REASON not in first.roles or place - clause.start > NEAR:
            return False
        begins = all(self._items[at].text in ARTICLES for at in range(clause.start, place))
        return begins and clause.stop - place > 2  # noqa: PLR2004 - two words

    def _is_good(self, place: int) -> bool:
        """Whether it is called right: "B is the correct answer"."""
        at = self._span.after(place)
        item = self._span.item(at)
        if (
            self._items[place].kind is Kind.TEXT
            and item is not None
            and not item.roles - {Role.FILL}
        ):
            at += 1
            item = self._span.item(at)
        if item is None or Role.BE not in item.roles or Role.NOT in item.roles:
            return False
        for step in range(at + 1, min(at + 6, self._stop)):
            item = self._items[step]
            if Role.GOOD in item.roles:
                after = self._span.item(step + 1)
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
        after = self._span.item(self._span.after(place))
        if place - self._start > _LEADS:
            return Status.ANSWER if after is None and self._concludes(place) else None
        before = self._items[self._start : place]
        if before and before[-1].text in OPENS and after is None and self._behind_text(place):
            return Status.ANSWER
        if not all(_leads(item) for item in before):
            return Status.ANSWER if after is None and self._concludes(place) else None
        if after is not None:
            return Status.BEGINS if self._goes_on(place, after) else None
        whole = self._span.text(self._start - 1) == "\n" and self._span.text(self._stop) != "\n"
        return Status.BEGINS if whole and not self._ends_line(self._stop) else Status.ANSWER

    def _goes_on(self, place: int, after: Item) -> bool:
        """Whether a sentence goes on from its letter as from an answer: "B) green", "B, as"."""
        bracketed = self._span.after(place) > place + 1
        follows = self._span.item(self._span.after(place) + 1)
        if after.text == ":" and (
            self._span.text(place + 1) in "\"'"
            or (follows is not None and follows.kind is Kind.LETTER)
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
        while (text := self._span.text(place)) != "\n":
            if text not in BOUNDS and text not in CLOSES:
                return False
            place += 1
        return True

    def _labels_text(self, place: int) -> bool:
        """Whether a stop, bracket or colon and the letter's own text follow: "B. green"."""
        mark, text = place + 1, place + 2
        if text >= len(self._items) or self._span.text(mark) not in (".", ")", ":"):
            return False
        return same_option(self._items[text].option, self._items[place].option, self._known)

    def _behind_text(self, place: int) -> bool:
        before = range(max(self._start, place - 3), place)
        return any(self._items[at].kind is Kind.TEXT for at in before)

    def _concludes(self, place: int) -> bool:
        """Whether a "so" or a "but" and little else stands between the clause before and it."""
        for at in range(place - 1, max(self._start, place - NEAR) - 1, -1):
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
        at = self._span.after(place)
        after = self._span.item(at)
        says = self._items[place].text in ("yes", "no")
        if says and after and (Role.IT in after.roles or after.text in ("it", "there", "there's")):
            return Status.ANSWER
        if after is not None and not after.roles and after.text[0].isalnum() and not after.names:
            if not self._items[place].plain:
                return None
            at += 1
            after = self._span.item(at)
        ends = after is None or after.text in (",", ":", "(") or after.text in DASHES
        return Status.ANSWER if ends or (after and Role.REASON in after.roles) else None


def _leads(item: Item) -> bool:
    """Whether an item may stand before an answer that is a sentence of its own."""
    if item.roles & {Role.LEAD, Role.LABEL, Role.CHANGE}:
        return True
    return not item.text[0].isalnum() and item.text not in ("/", "&")
