"""Whether a reply says yes or no: for questions about a picture, and for the screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from speceyes_cli.core.replies.clean import CLOSE, OPEN, clean
from speceyes_cli.core.replies.items import (
    Item,
    Kind,
    Options,
    is_sign,
    marked_parts,
    read_items,
    sentences_of,
)
from speceyes_cli.core.replies.tokens import tokenize, tokenize_reply
from speceyes_cli.core.replies.vocabulary import ARTICLES, CONCLUDES, Role, answering_words

_OTHER = frozenset({"doubt", "idea", "way", "clue", "matter", "question", "problem", "reason"}) | {
    *("wonder", "need", "other", "others", "more", "longer", "fewer", "less", "further", "worries")
}
"""Behind these a "no" says nothing of what was asked: "no doubt"."""
_EXISTS = frozenset(
    {"there", "there's", "see", "shows", "contains", "includes", "has", "is", "are"}
)
_BEHIND = frozenset(
    {
        *("near", "behind", "beside", "under", "next", "to", "by", "among", "inside", "outside"),
        *("above", "below", "around", "along", "between", "from", "through", "across", "within"),
        *("into", "over", "off", "down", "up", "before", "against", "toward", "towards"),
        *("that", "which", "who", "whose", "where", "when", "here", "there", "now", "too", "also"),
        *("anywhere", "somewhere", "either", "together", "alone", "itself", "only", "partially"),
        *("partly", "clearly", "visible", "present", "shown", "seen", "lies", "sits"),
    }
)
"""Words behind a thing that do not name another one with it."""

_SAID = ("yes", "no")


class _Claim(NamedTuple):
    said: str
    plain: bool
    """False where it follows from a statement, as in "I see no dog"."""


_BOTH = (_Claim("yes", plain=True), _Claim("no", plain=True))
"""What a reply that doubts, or says both, comes to."""


@cache
def _words() -> Options:
    """Yes and no as the options of a question, in every language known; without letters."""
    return Options(same=(0, 1), letters=(), folded=_SAID, found=answering_words(), single={})


def parse_yes_no(text: str, question: str = "") -> str | None:
    """The word "yes" or "no" where a reply says exactly one of them plainly, else None.

    A statement counts where no such word answers: "I see no dog" is a no, and with the question "Is
    there a dog in the image?" so is "A dog is not visible". Linear in the reply's length; a reply
    of more than `clean.LONGEST` characters is None.
    """
    items = _read(text)
    parts = marked_parts(items)
    if parts is None:
        return None
    asked_for = _object_of(question)
    bare = [item for item in items if item.text not in (OPEN, CLOSE)]
    if not parts:
        return _decide(_claims(bare, asked_for), bare)
    inside = {_decide(_claims(part, asked_for), part) for part in parts}
    around = {claim.said for claim in _claims(bare, asked_for) if claim.plain}
    found = inside.pop() if len(inside) == 1 else None
    return found if around <= {found} else None


def says_no(text: str) -> bool:
    """Whether a screen's reply finds no need of a tool: its first word is "no" or "none".

    Marks, quotes and "Answer:" before it do not matter. "Not sure" and "No idea" are no "no", and
    a reply that goes on to say yes, or asks, is none.
    """
    items = [item for item in _read(text) if item.text not in (OPEN, CLOSE)]
    if any(item.option == 0 for item in items):
        return False
    for sentence in sentences_of(items)[:1]:
        for place in sentence:
            item = items[place]
            if item.option == 1 or item.text == "none":
                after = items[place + 1].text if place + 1 < len(items) else ""
                asked = items[sentence.stop].text == "?" if sentence.stop < len(items) else False
                return after not in _OTHER - {"need"} and not asked
            if not (is_sign(item) or item.roles & {Role.NOUN, Role.FILL}):
                return False
    return False


def _read(text: str) -> list[Item]:
    """The reply's items; none where it is too long to be read."""
    said = clean(text)
    tokens = tokenize_reply(said) if said is not None else None
    return read_items(tokens, _words()) if tokens is not None else []


def _decide(claims: Sequence[_Claim], items: Sequence[Item]) -> str | None:
    """What all plain claims say, or else all statements."""
    plain = {claim.said for claim in claims if claim.plain}
    found = plain or {claim.said for claim in claims}
    if len(found) != 1:
        return None
    [said] = found
    changed = any(Role.CHANGE in item.roles for item in items)
    if changed and any(item.option is not None and _SAID[item.option] != said for item in items):
        return None
    return said


def _claims(items: Sequence[Item], asked_for: Sequence[str]) -> list[_Claim]:
    """Everything that a reply says of the question, sentence by sentence."""
    found: list[_Claim] = []
    for sentence in sentences_of(items):
        asked = sentence.stop < len(items) and items[sentence.stop].text == "?"
        part = [items[place] for place in sentence]
        if not asked:
            found += _of_sentence(part, asked_for)
        elif part[0].option is not None and len(part) == 1:
            found += _BOTH  # "Yes?" doubts
    return found


def _of_sentence(part: Sequence[Item], asked_for: Sequence[str]) -> Iterator[_Claim]:
    """The claims of one sentence; a joined "yes and no" claims both."""
    open_ = any(item.roles & {Role.IF, Role.MAYBE} for item in part)
    if any(_joins(part, place) for place in range(len(part))):
        yield from _BOTH
        return
    plain = conditional = False
    for place, item in enumerate(part):
        conditional = conditional or Role.IF in item.roles
        if item.option is None or not _answers(part, place):
            continue
        near = part[max(0, place - 2) : place + 3]
        if conditional or any(other.roles & {Role.MAYBE, Role.IF} for other in near):
            yield from _BOTH
        plain = True
        yield _Claim(_SAID[item.option], plain=True)
    if not plain and not open_:
        yield from _statements(part, asked_for)


def _joins(part: Sequence[Item], place: int) -> bool:
    """Whether two different answers are joined here: "yes or no"."""
    near = part[place : place + 3]
    if len(near) < 3 or near[0].option is None or near[2].option is None:  # noqa: PLR2004
        return False
    joins = Role.LIST in near[1].roles and near[1].text != ","
    return joins and near[0].option != near[2].option


def _answers(part: Sequence[Item], place: int) -> bool:
    """Whether a yes or no stands where an answer stands: first, announced, or last by itself."""
    after = part[place + 1] if place + 1 < len(part) else None
    if after is not None and after.text in _OTHER:
        return False
    before = list(part[:place])
    ends = after is None or is_sign(after) or Role.LIST in after.roles or bool(after.roles)
    if all(_leads(item) for item in before):
        return not (part[place].text in ("是", "有", "不") and not ends)
    alone = after is None or is_sign(after)
    for item in reversed(before):
        announces = item.roles & {Role.NOUN, Role.VERB, Role.IT} or item.text == ":"
        if (announces and Role.NOT not in item.roles) or item.text in CONCLUDES:
            return ends
        passes = is_sign(item) or item.roles & {Role.FILL, Role.BE} or item.text in ARTICLES
        if item.text == "," or item.option is not None or not passes or Role.NOT in item.roles:
            return alone and (item.text == "," or item.option is not None)
    return False


def _leads(item: Item) -> bool:
    """Whether an item may stand before an answer at the beginning of a sentence."""
    begins = item.roles & {Role.LEAD, Role.CHANGE} or item.kind is Kind.LETTER
    return bool(begins) or is_sign(item)


def _statements(part: Sequence[Item], asked_for: Sequence[str]) -> Iterator[_Claim]:
    """What a sentence without an answering word says: "there is no dog"."""
    words = [item.text for item in part]
    if not asked_for:
        for place, item in enumerate(part):
            if item.option == 1 and item.text == "no" and place + 1 < len(part):
                after = part[place + 1]
                if after.text not in _OTHER and after.text[0].isalpha():
                    yield _Claim("no", plain=False)
        return
    size = len(asked_for)
    for place in range(len(words) - size + 1):
        if not _same(words[place : place + size], asked_for):
            continue
        said = _existence(part, place, place + size)
        if said is not None:
            yield _Claim(said, plain=False)


def _same(words: Sequence[str], asked_for: Sequence[str]) -> bool:
    """Whether these are the words asked for, the last one also in the plural."""
    last, wanted = words[-1], asked_for[-1]
    return list(words[:-1]) == list(asked_for[:-1]) and last in (
        wanted,
        f"{wanted}s",
        f"{wanted}es",
    )


def _existence(part: Sequence[Item], start: int, stop: int) -> str | None:
    """Whether the words from `start` to `stop` are said to be there; None where nothing is said."""
    before, after = part[:start], part[stop:]
    if after and _goes_on_as_noun(after[0]):
        return None  # a dog house is no dog
    clause = next(
        (i + 1 for i in range(start - 1, -1, -1) if before[i].text in (",", "but", "and")), 0
    )
    if any(item.text in _OTHER for item in before[max(0, start - 2) :]):
        return None
    denied = any(item.option == 1 or Role.NOT in item.roles for item in before[clause:])
    denied = denied or any(Role.NOT in item.roles for item in after[:3])
    if denied:
        return "no"
    begins = {text for item in before[clause:] for text in item.text.split()}
    told = bool(after) and Role.BE in after[0].roles and any(i.text == "visible" for i in after[:3])
    near = not before or before[-1].text in ARTICLES | _EXISTS
    return "yes" if near and (begins & _EXISTS or told) else None


def _goes_on_as_noun(item: Item) -> bool:
    """Whether a word behind a thing may name another one with it, as "house" behind "dog"."""
    plain = item.kind is Kind.WORD and not item.roles and item.text.isalpha()
    return plain and item.text not in ARTICLES | _BEHIND and not item.text.endswith(("ing", "ed"))


def _object_of(question: str) -> list[str]:
    """What a question "Is there a … in the image?" asks for; nothing for another question."""
    words = [token.text for token in tokenize(question[:400])]
    if words[:2] != ["is", "there"] or "in" not in words:
        return []
    stop = words.index("in")
    start = 3 if words[2:3] and words[2] in ("a", "an", "any") else 2
    return words[start:stop]
