"""How each letter and each option's text stands in a reply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from speceyes_cli.core.replies.items import Item, Kind, Options, same_option, sentences_of
from speceyes_cli.core.replies.sentences import Sentence
from speceyes_cli.core.replies.status import Status
from speceyes_cli.core.replies.vocabulary import ARTICLES


class Named(NamedTuple):
    """A letter or an option's text, and how it stands."""

    place: int
    """Among the reply's items."""
    kind: Kind
    option: int | None
    """None: a letter of no option, or of two."""
    status: Status


def read_named(items: Sequence[Item], known: Options) -> list[Named]:
    """Every letter and option's text of a reply with its status, in order."""
    sentences = sentences_of(items)
    found: list[Named] = []
    for number, places in enumerate(sentences):
        last = sentences[number - 1][-1] if number else None
        initial = last is not None and _may_be_initial(last, items, found)
        sentence = Sentence(items, places, known, initial=initial)
        found += [
            Named(place, items[place].kind, items[place].option, sentence.status(place))
            for place in places
            if items[place].names
        ]
    return list(_with_own_texts(found, items, known))


def _may_be_initial(last: int, items: Sequence[Item], found: Sequence[Named]) -> bool:
    """Whether the sentence before ends, on this line, in a letter that says nothing: J. B. Hunt."""
    if len(items[last].said) != 1 or not items[last].said.isalpha() or items[last + 1].text == "\n":
        return False
    return not found or found[-1].place != last or found[-1].status is Status.MENTIONED


def _with_own_texts(
    named: Sequence[Named], items: Sequence[Item], known: Options
) -> Iterator[Named]:
    """The same, a text right behind a letter marked: the letter's own, or else an answer itself."""
    before: Named | None = None
    for one in named:
        marked = one
        if before is not None and _follows_letter(one, before, items):
            own = same_option(one.option, before.option, known)
            if own and one.status is Status.OUT:
                before = before._replace(status=Status.OUT)  # "A. red is wrong"
            elif own:
                marked = one._replace(status=Status.OWN)
            elif one.status is Status.MENTIONED:
                marked = one._replace(status=Status.ANSWER)
        if before is not None:
            yield before
        before = marked
    if before is not None:
        yield before


def _follows_letter(one: Named, before: Named, items: Sequence[Item]) -> bool:
    """Whether a text stands behind a letter as in "B. green", and is not one of several."""
    if one.kind is not Kind.TEXT or before.kind is not Kind.LETTER:
        return False
    between = items[before.place + 1 : one.place]
    return one.status is not Status.SEVERAL and all(map(_is_filling, between))


def _is_filling(item: Item) -> bool:
    return item.text in ARTICLES or (not item.text[:1].isalnum() and item.text != "\n")
