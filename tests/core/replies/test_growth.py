"""Reading takes time in proportion to a reply's length, whatever it repeats."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from speceyes_cli.core.replies.choices import parse_choice
from speceyes_cli.core.replies.clean import clean
from speceyes_cli.core.replies.scores import read_score
from speceyes_cli.core.replies.tokens import tokenize
from speceyes_cli.core.replies.yes_no import parse_yes_no, says_no

READERS: dict[str, Callable[[str], object]] = {
    "choice": lambda text: parse_choice(text, ("red", "dark red", "a red one or a green one", "A")),
    "yes_no": lambda text: parse_yes_no(text, "Is there a red dog in the image?"),
    "screen": says_no,
    "score": read_score,
    "clean": clean,
    "tokens": tokenize,
}
FRAGMENTS = (
    "\\boxed{",
    "\\text{red} ",
    "\\text{",
    "\\",
    "{",
    "}",
    "(",
    ")",
    "[",
    "$",
    "/",
    "/a",
    "*",
    "_",
    "```",
    "```\n",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<a",
    '"',
    "'",
    "'a",
    "A ",
    "A, ",
    "A or ",
    "A.",
    "A-",
    "B. ",
    "B\n",
    "red ",
    "red, ",
    "red or ",
    "not ",
    "answer ",
    "answer is ",
    "answer: ",
    "is ",
    "I think ",
    "because ",
    "wait ",
    "if ",
    "yes ",
    "no ",
    "no, ",
    "7 ",
    "7/",
    "1.",
    "1,2",
    "step 1 ",
    "score ",
    "dog ",
    "there is a red ",
    ", ",
    ". ",
    "? ",
    "\n",
    " ",
    "\t",
    "# ",
    "\x00",
    "\x1b[",
    "\x1b]",
    "\u7b54",
    "\u7b54\u6848\u662f",
    "\ufdfa",
    "a red one or ",
    "most likely ",
    "dark red dark ",
    "|",
    "<|",
    "<|begin_of_box|>",
)
LENGTH = 1_200


def steps(read: Callable[[str], object], text: str) -> int:
    """Python lines and calls that reading takes: a count that no busy machine disturbs."""
    count = 0

    def trace(*_: object) -> Callable[..., object]:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        read(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=repr)
@pytest.mark.parametrize("name", READERS)
def test_steps_grow_no_faster_than_the_length(name: str, fragment: str) -> None:
    read = READERS[name]
    read(fragment)  # what is cached is read before
    one, two, four = (steps(read, fragment * (n * LENGTH // 4 // len(fragment))) for n in (1, 2, 4))
    assert two <= 3 * one + 200
    assert four <= 3 * two + 200


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=repr)
def test_a_hundred_thousand_signs_cost_no_more_than_the_longest_that_is_read(fragment: str) -> None:
    long = fragment * (100_000 // len(fragment))
    for read in (READERS["choice"], READERS["yes_no"], says_no, read_score):
        assert steps(read, long) <= 400_000
