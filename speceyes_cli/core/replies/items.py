"""A reply as items: letters that stand alone, options' texts, and words with their roles."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from enum import StrEnum, auto
from typing import NamedTuple

from speceyes_cli.core.option_texts import without_labels
from speceyes_cli.core.replies.clean import CLOSE, OPEN, fold
from speceyes_cli.core.replies.parts import Part, read_parts
from speceyes_cli.core.replies.tokens import Phrases, Token, tokenize
from speceyes_cli.core.replies.vocabulary import BOUNDS, EMPTY_WORDS, Role, roles

AROUND = " \t\n\"'.,;:!\u3001\u3002"
"""What may stand around an answer without meaning anything; the last two are Chinese stops."""
_LONGEST_OPTION = 60
"""Tokens of an option that is looked for within a reply; a longer one counts as a whole reply."""
_PRONOUN_GOES_ON = frozenset({"is", "was", "because", "since", "or", "and", "not"})
"""Words before which "I" is a letter and no pronoun."""


_GOES_ON = frozenset({Role.BE, Role.REASON, Role.LIST, Role.NOT, Role.MAYBE, Role.TURN})
"""Roles of words before which "A" is a letter and no article."""
_LAST_LATIN = 0x24F


class Kind(StrEnum):
    """What an item is."""

    LETTER = auto()
    """A letter that stands alone."""
    TEXT = auto()
    """An option's text."""
    WORD = auto()
    """Anything else."""


class Item(NamedTuple):
    """A phrase of the reply."""

    kind: Kind
    text: str
    """In one case."""
    option: int | None = None
    """The option that a letter or a text names; None: none of them, or no single one."""
    roles: frozenset[Role] = frozenset()
    plain: bool = True
    """False for a text of empty words such as "no": a mention does not name it."""
    said: str = ""
    glued: bool = False

    @property
    def names(self) -> bool:
        """Whether it is a letter or an option's text."""
        return self.kind is not Kind.WORD


class Options(NamedTuple):
    """A question's options, ready to be found in replies."""

    same: tuple[int, ...]
    """For each option the first one with the same text."""
    letters: tuple[str, ...]
    """A, B, C in one case."""
    folded: tuple[str, ...]
    found: Phrases[int]
    single: dict[str, int]
    """Options whose text is a single letter, by it."""
    parts: tuple[Part, ...] = ()
    """What sets the options apart, where most of their words are the same."""


@functools.lru_cache(256)
def read_options(options: tuple[str, ...]) -> Options:
    """Prepare the options, once for all replies to a question.

    Those with labels of their own are found as they are shown, too.
    """
    folded = tuple(fold(option).strip(AROUND) for option in options)
    letters = tuple(chr(ord("a") + place) for place in range(len(options)))
    shown = tuple(fold(option).strip(AROUND) for option in without_labels(options))
    own = all(text[:2].lstrip("([")[:1] == letters[place] for place, text in enumerate(folded))
    if not own:
        folded = shown
    forms = dict.fromkeys((*enumerate(folded), *enumerate(shown)))
    phrases = [(text, place) for place, text in forms if _fits(text)]
    return Options(
        same=tuple(folded.index(text) for text in folded),
        letters=letters,
        folded=folded,
        found=Phrases(phrases),
        single={text: folded.index(text) for text in folded if len(text) == 1 and text.isalpha()},
        parts=read_parts(folded, _LONGEST_OPTION),
    )


def _fits(text: str) -> bool:
    words = [token.text for token in tokenize(text)]
    letter = len(words) == 1 and len(words[0]) == 1 and words[0].isalpha()  # "a", also "a$"
    return 0 < len(words) <= _LONGEST_OPTION and not letter


def read_items(tokens: Sequence[Token], options: Options) -> list[Item]:
    """The reply as items, an option's text before any other phrase that begins where it does."""
    words = [token.text for token in tokens]
    items: list[Item] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        text = options.found.at(words, place)
        phrase = roles().at(words, place)
        if text is not None and (phrase is None or text[0] >= phrase[0] or text[0] > 1):
            length, option = text
            said = " ".join(words[place : place + length])
            plain = not EMPTY_WORDS.issuperset(words[place : place + length])
            item = Item(Kind.TEXT, said, option, plain=plain, said=token.said, glued=token.glued)
        elif _may_be_letter(token) and (phrase is None or phrase[0] == 1):
            length, item = 1, _letter(token, phrase[1] if phrase else frozenset(), options)
        elif phrase is not None:
            length, having = phrase
            said = " ".join(words[place : place + length])
            item = Item(Kind.WORD, said, roles=having, said=token.said, glued=token.glued)
        else:
            length = 1
            item = Item(Kind.WORD, token.text, said=token.said, glued=token.glued)
        items.append(item)
        place += length
    return _settle_letters(_settle_numbering(items))


def _may_be_letter(token: Token) -> bool:
    return token.kind == "word" and len(token.said) == 1 and "a" <= token.text <= "z"


def _letter(token: Token, having: frozenset[Role], options: Options) -> Item:
    option = options.letters.index(token.text) if token.text in options.letters else None
    as_text = options.single.get(token.text)
    if as_text is not None and option is not None and options.same[option] != as_text:
        option = None
    elif as_text is not None:
        option = as_text
    return Item(Kind.LETTER, token.text, option, having, said=token.said, glued=token.glued)


def _settle_numbering(items: list[Item]) -> list[Item]:
    """The items, numbers that only number lines or steps made words."""
    ends = len(items) - 1
    lines = [
        place
        for place, item in enumerate(items)
        if item.text.isdecimal()
        and (place == 0 or items[place - 1].text == "\n")
        and place + 1 < ends
        and items[place + 1].text in (".", ")", ":")
        and items[place + 2].text != "\n"
    ]
    counted = [items[place].text for place in lines] == [str(n + 1) for n in range(len(lines))]
    numbering = set(lines) if counted and len(lines) > 1 else set()
    steps = {at for at in range(1, len(items)) if items[at - 1].text == "step"}
    return [
        item._replace(kind=Kind.WORD, option=None)
        if place in numbering or (place in steps and item.text.isdecimal())
        else item
        for place, item in enumerate(items)
    ]


def _settle_letters(items: list[Item]) -> list[Item]:
    """The items, articles, pronouns, initials and variables among the letters made words."""
    settled = list(items)
    for place, item in enumerate(items):
        if item.kind is Kind.LETTER and not _is_letter(items, place):
            settled[place] = item._replace(kind=Kind.WORD, option=None)
    return settled


def _is_letter(items: Sequence[Item], place: int) -> bool:
    """Whether a letter here is one, and no article, pronoun, initial or variable."""
    item = items[place]
    after = items[place + 1] if place + 1 < len(items) else None
    before = items[place - 1] if place else None
    if before is not None and before.text == "(" and after is not None and after.text == ")":
        return True
    if _is_abbreviation(items, place):
        return False
    if not item.said.isupper():
        ends = after is None or is_sign(after)
        return ends and (before is None or not _is_plain_word(before)) and item.text != "i"
    if item.text == "i":
        return _ends_letter_i(items, place)
    return item.text != "a" or after is None or _goes_on_from_letter(after)


def _is_abbreviation(items: Sequence[Item], place: int) -> bool:
    """Whether letters stand on both sides of a stop without a blank, as in A.M."""
    near = items[place : place + 3]
    if [item.text == "." for item in near] == [False, True, False]:
        follows = near[2]
        if near[1].glued and follows.glued and len(follows.said) == 1 and follows.said.isalpha():
            return True
    before = items[place - 1] if place else None
    return before is not None and before.text == "." and before.glued and items[place].glued


def _goes_on_from_letter(after: Item) -> bool:
    """Whether what follows an "A" shows that it is a letter and no article."""
    if after.kind is Kind.TEXT:
        return False  # the text says which one is meant
    if after.kind is Kind.LETTER or is_sign(after) or ord(after.said[0]) > _LAST_LATIN:
        return True
    return bool(after.roles & _GOES_ON)


def _ends_letter_i(items: Sequence[Item], place: int) -> bool:
    after = items[place + 1] if place + 1 < len(items) else None
    if after is None:
        return True
    if after.text == ",":
        return place + 2 < len(items) and items[place + 2].text in ("because", "since")
    foreign = ord(after.said[0]) > _LAST_LATIN
    return is_sign(after) or foreign or after.text in _PRONOUN_GOES_ON


def is_sign(item: Item) -> bool:
    """Whether the item is a sign, such as a stop or a bracket, and no word."""
    return item.text in (OPEN, CLOSE) or not any(sign.isalnum() for sign in item.text)


def _is_plain_word(item: Item) -> bool:
    """Whether a word without any role stands here, after which a small letter is no answer."""
    return item.kind is Kind.WORD and not item.roles and not is_sign(item)


def marked_parts(items: Sequence[Item]) -> list[list[Item]] | None:
    """What stands in the outermost boxes and answer tags; None where one is cut off."""
    found: list[list[Item]] = []
    depth = 0
    for item in items:
        if item.text == OPEN:
            if depth == 0:
                found.append([])
            depth += 1
        elif item.text == CLOSE:
            depth = max(0, depth - 1)
        elif depth:
            found[-1].append(item)
    return None if depth else found


def sentences_of(items: Sequence[Item]) -> list[range]:
    """The places of each sentence's items, without the signs that end it."""
    found: list[range] = []
    start = 0
    for place, item in enumerate(items):
        if item.kind is Kind.WORD and item.text in BOUNDS:
            if place > start:
                found.append(range(start, place))
            start = place + 1
    if start < len(items):
        found.append(range(start, len(items)))
    return found


def same_option(one: int | None, other: int | None, known: Options) -> bool:
    """Whether both are an option, and the same or one with the same text."""
    return one is not None and other is not None and known.same[one] == known.same[other]
