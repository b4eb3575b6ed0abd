from __future__ import annotations

import pytest

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.option_texts import places_kept, without_labels
from speceyes_cli.core.replies.choices import parse_choice
from speceyes_cli.core.samples import Sample, question_text

ALL = "all"


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (("red", "green", "blue"), ()),
        (("cat", "dog", "None of the above"), (2,)),
        (("cat", "dog", "All of the above"), (2,)),
        (("cat", "dog", "all of the above."), (2,)),
        (("cat", "dog", "None of these"), (2,)),
        (("cat", "dog", "None of the other options"), (2,)),
        (("cat", "None of these", "dog"), (1,)),
        (("cat", "dog", "All of the above", "fish"), ALL),
        (("cat", "dog", "All of the above", "None of the above"), ALL),
        (("cat", "dog", "Both A and B"), ALL),
        (("cat", "dog", "A and B"), ALL),
        (("cat", "dog", "Neither A nor B"), ALL),
        (("cat", "dog", "fish", "A, B and C"), ALL),
        (("cat", "dog", "Both A and B are correct"), ALL),
        (("cat", "dog", "Options A and B"), ALL),
        (("cat", "dog", "both"), ()),
        (("cat", "dog", "X and Y"), ()),
        (("red and green", "red or green"), ()),
        (("a and b", "c"), ()),
        (("A. red", "B. green", "C. blue"), ALL),
        (("(A) red", "(B) green"), ALL),
        (("a) red", "b) green"), ALL),
        (("1. red", "2. green"), ALL),
        (("1) red", "2) green"), ALL),
        (("[1] red", "[2] green"), ALL),
        (("B. green", "C. blue", "A. red"), ALL),
        (("3.5 m", "1.2 m"), ()),
        (("10:15", "10:50"), ()),
        (("A. red", "green"), ()),
        (("A big dog", "B-movie"), ()),
        (("1. red", "1. green"), ()),
        (("J. Smith", "A. Jones", "B. Brown"), ()),
        (("2. green", "1. red"), ALL),
        (("yes", "no"), ()),
        (("none", "all"), ()),
        ((), ()),
    ],
)
def test_options_that_mean_others_or_are_labelled_stay(
    options: tuple[str, ...], kept: tuple[int, ...] | str
) -> None:
    expected = range(len(options)) if kept == ALL else kept
    assert places_kept(options) == frozenset(expected)


def shown(*options: str) -> list[str]:
    def no_picture() -> None:
        raise AssertionError("a prompt needs no picture here")

    return question_text(Sample("s", "t", Picture("p", no_picture), "Which?", options)).splitlines()


def test_an_option_is_shown_behind_one_letter_only() -> None:
    assert shown("A. red", "B. green") == ["Question: Which?", "Options:", "A. red", "B. green"]
    assert shown("(1) red", "(2) green")[2:] == ["A. red", "B. green"]
    assert shown("red", "A. green")[2:] == ["A. red", "B. A. green"]
    assert shown("3.5 m", "1.2 m")[2:] == ["A. 3.5 m", "B. 1.2 m"]


def test_labelled_options_are_read_as_they_are_shown() -> None:
    labelled = ("A. red", "B. green", "C. blue")
    for reply in ("B", "green", "B. green", "The answer is B. green", "It is green."):
        assert parse_choice(reply, labelled).option == 1
    moved = ("B. green", "A. red")
    assert without_labels(moved) == ("green", "red")
    assert parse_choice("green", moved).option == 0
    assert parse_choice("A. green", moved).option == 0
    assert parse_choice("B. green", moved).option is None
    assert parse_choice("2", ("1) red", "2) green")).option is None
