"""Which option a reply names.

Decided means that any careful reader would say the same; a reply that names several options, doubts
the one it names, or whose letter and text disagree, is undecided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from speceyes_cli.core.replies.clean import CLOSE, OPEN, clean, fold
from speceyes_cli.core.replies.items import (
    AROUND,
    Item,
    Kind,
    Options,
    marked_parts,
    read_items,
    read_options,
)
from speceyes_cli.core.replies.naming import Named, read_named
from speceyes_cli.core.replies.parts import meant_by_part
from speceyes_cli.core.replies.status import Status
from speceyes_cli.core.replies.tokens import tokenize_reply
from speceyes_cli.core.replies.vocabulary import BOUNDS, NUMBERS, OPENS, Role

_MOST_NAMED = 200
"""Letters and texts of options in a reply that is read; a longer one repeats itself."""


class Choice(NamedTuple):
    """Which option an answer names, and how that was read."""

    option: int | None
    """0 for the first option; None: undecided."""
    provenance: str
    """What decided: "letter" or "text"; else "ambiguous", "none" or "too_long"."""


_OR = frozenset({"or", "oder", "ou", "или", "或", "或者", "또는", "atau"})

AMBIGUOUS = Choice(None, "ambiguous")
NOTHING = Choice(None, "none")
TOO_LONG = Choice(None, "too_long")


def parse_choice(text: str, options: Sequence[str]) -> Choice:
    """The option that an answer names by its letter or by its text.

    What a box, an answer tag or an announcement ("the answer is B") names counts most; then a
    letter or a text that stands where an answer stands; then the only text mentioned. Linear in
    the reply's length; one of more than `clean.LONGEST` characters or `tokens.MOST_TOKENS` tokens,
    or one that names options without end, is undecided.
    """
    said = clean(text)
    tokens = tokenize_reply(said) if said is not None else None
    if said is None or tokens is None:
        return TOO_LONG
    if not options or not said.strip():
        return NOTHING
    known = read_options(tuple(options))
    return _whole_text((text, said), known) or _read(read_items(tokens, known), known)


def _read(items: Sequence[Item], known: Options) -> Choice:
    """The choice of a reply that is more than an option's text."""
    if sum(item.names for item in items) > _MOST_NAMED:
        return TOO_LONG
    marked = marked_parts(items)
    bare = [item for item in items if item.text not in (OPEN, CLOSE)]
    if marked is None:
        return AMBIGUOUS if any(item.names for item in bare) else NOTHING
    return _decide_marked(marked, bare, known) if marked else _decide(bare, known)


def _whole_text(forms: Iterable[str], known: Options) -> Choice | None:
    """The choice of a reply that is an option's text, or the part that sets it apart."""
    for form in forms:
        plain = fold(form.replace(OPEN, " ").replace(CLOSE, " ")).strip(AROUND)
        if plain and plain in known.folded:
            option = known.folded.index(plain)
            letter = known.letters.index(plain) if plain in known.letters else option
            return Choice(letter, "text") if known.same[letter] == option else AMBIGUOUS
        meant = {known.same[option] for option in meant_by_part(plain, known.parts)}
        if len(meant) == 1:
            return Choice(meant.pop(), "text")
    return None


def _decide_marked(
    marked: Sequence[Sequence[Item]], bare: Sequence[Item], known: Options
) -> Choice:
    """The choice that every box and answer tag makes, unless the words around deny it."""
    choices = [_decide(part, known) for part in marked]
    if len({choice.option for choice in choices}) > 1:
        return AMBIGUOUS
    option = choices[0].option
    if option is None:
        return AMBIGUOUS if AMBIGUOUS in choices else NOTHING
    own = known.same[option]
    for one in read_named(bare, known):
        mine = _is(one, own, known)
        if mine and one.status in (Status.OUT, Status.DOUBTED):
            return AMBIGUOUS
        announced = one.status is Status.ANSWER and one.option is not None
        if announced and not mine and one.kind is Kind.LETTER:
            return AMBIGUOUS
    return choices[0]


def _decide(items: Sequence[Item], known: Options) -> Choice:
    """The choice that a stretch of a reply makes by itself."""
    named = read_named(items, known)
    letters = [one for one in named if one.kind is Kind.LETTER]
    answers = [one for one in letters if one.status is Status.ANSWER]
    begins = [one for one in letters if one.status is Status.BEGINS]
    if not answers or len(_options(begins, known)) == 1:
        answers += begins
    chosen = _options(answers, known)
    if len(chosen) > 1:
        return AMBIGUOUS
    if chosen:
        return _by_letter(answers[0].option, named, items, known)
    if any(one.status in (Status.SEVERAL, Status.DOUBTED) for one in letters):
        return AMBIGUOUS
    texts = [one for one in named if one.kind is Kind.TEXT]
    if texts:
        return _by_text(texts, named, items, known)
    return AMBIGUOUS if any(one.status is Status.OUT for one in letters) else NOTHING


def _by_letter(
    letter: int | None, named: Sequence[Named], items: Sequence[Item], known: Options
) -> Choice:
    """The letter's option, unless something else is named beside it."""
    if letter is None:
        return NOTHING
    own = known.same[letter]
    mine = [one for one in named if _is(one, own, known)]
    others = [one for one in named if one.option is not None and not _is(one, own, known)]
    texts = [one for one in others if one.kind is Kind.TEXT]
    stated = any(
        one.kind is Kind.TEXT and one.status not in (Status.OUT, Status.ASKED) for one in mine
    )
    denied = any(
        one.status is Status.OUT and (one.kind is Kind.LETTER or not stated) for one in mine
    )
    doubted = any(one.status is Status.DOUBTED for one in others)
    rival = any(
        one.status is Status.ANSWER
        or (one.status is Status.MENTIONED and not stated and items[one.place].plain)
        for one in texts
    )
    if denied or doubted or rival or _takes_back(others, items) or _or_another(others, items):
        return AMBIGUOUS
    return Choice(letter, "letter")


def _by_text(
    texts: Sequence[Named], named: Sequence[Named], items: Sequence[Item], known: Options
) -> Choice:
    """The option whose text is announced, or else the only one mentioned."""
    answers = [one for one in texts if one.status is Status.ANSWER]
    kept = answers or [
        one for one in texts if one.status is not Status.OUT and items[one.place].plain
    ]
    if not kept:
        return AMBIGUOUS
    option = kept[0].option
    if option is None or len(_options(kept, known)) > 1:
        return AMBIGUOUS
    own = known.same[option]
    open_ = (Status.SEVERAL, Status.DOUBTED, Status.ASKED)
    denied = any(one.status is Status.OUT and _is(one, own, known) for one in texts)
    doubted = any(one.status in open_ for one in (texts if not answers else kept))
    hedged = not answers and _hedges(named, items)
    others = [one for one in named if not _is(one, own, known)]
    other_doubts = any(one.status is Status.DOUBTED for one in others)
    added_up = not answers and _counts_twice([one.place for one in kept], items)
    if denied or doubted or hedged or other_doubts or added_up or _takes_back(others, items):
        return AMBIGUOUS
    return Choice(option, "text")


def _options(named: Iterable[Named], known: Options) -> set[int | None]:
    """The options named, those with equal texts as one; None stands for no option's letter."""
    return {None if one.option is None else known.same[one.option] for one in named}


def _is(named: Named, own: int, known: Options) -> bool:
    return named.option is not None and known.same[named.option] == own


def _counts_twice(places: Sequence[int], items: Sequence[Item]) -> bool:
    """Whether a number counts two things that are joined: "2 adults and 2 children" are 4."""
    for first, second in pairwise(places):
        between = items[first + 1 : second]
        number = items[first].text.isdecimal() or items[first].text in NUMBERS
        one_sentence = not any(item.text in BOUNDS for item in between)
        if number and one_sentence and any(Role.LIST in item.roles for item in between):
            return True
    return False


def _hedges(named: Sequence[Named], items: Sequence[Item]) -> bool:
    """Whether anything in the reply doubts, denies or is only planned, what rules out aside."""
    used = {
        place
        for one in named
        if one.status is Status.OUT
        for place in range(one.place - 4, one.place + 5)
    }
    doubts = {Role.NOT, Role.BAD, Role.MAYBE, Role.IF, Role.CHANGE, Role.PLAN}
    return any(
        item.text in ("?", "/", "both", "or", "或") or item.roles & doubts
        for place, item in enumerate(items)
        if item.kind is not Kind.TEXT and place not in used
    )


def _or_another(others: Iterable[Named], items: Sequence[Item]) -> bool:
    """Whether an "or" leads to a letter that nothing else is said of: "A, the red one, or (B)"."""
    for one in others:
        at = one.place - 1
        while at > 0 and (items[at].text in OPENS or Role.LABEL in items[at].roles):
            at -= 1
        mentioned = one.kind is Kind.LETTER and one.status is Status.MENTIONED
        if mentioned and at > 0 and items[at].text in _OR:
            return True
    return False


def _takes_back(others: Iterable[Named], items: Sequence[Item]) -> bool:
    """Whether a word such as "wait" is followed by another option."""
    change = next((i for i, item in enumerate(items) if Role.CHANGE in item.roles), None)
    return change is not None and any(
        one.place > change and one.status is not Status.OUT for one in others
    )
