"""What a careful reader makes of a reply to a multiple-choice question."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.judging.answer_rules import score_choice
from speceyes_cli.core.replies.choices import parse_choice
from speceyes_cli.core.replies.clean import LONGEST
from speceyes_cli.core.samples import Sample

HERE = Path(__file__).parent
CASES = json.loads((HERE / "cases.json").read_text("utf-8"))["multiple_choice"]
"""The right option's letter, options, reply, verdict and kind; every one was read wrongly once."""
TABLE = json.loads((HERE / "choices.json").read_text("utf-8"))
"""Options, reply, the letter that a careful reader reads (null: undecided) and kind."""
UNDECIDED_AT_MOST = 0.05
COLOURS = ("red", "green", "blue", "yellow")

TEMPLATES = (
    "{letter}",
    "({letter})",
    "{letter}.",
    "**{letter}**",
    "{letter}. {text}",
    "({letter}) {text}",
    "{letter}: {text}",
    "**{letter}. {text}**",
    "The answer is {letter}.",
    "The answer is {letter}. {text}",
    "The correct answer is ({letter}) {text}.",
    "Answer: {letter}",
    "Answer: {letter}. {text}",
    "Answer: **{letter}) {text}**",
    "Final answer: {letter}",
    "So the answer is {letter}: {text}.",
    "Therefore, {letter}.",
    "I would choose {letter}.",
    "I'd go with option {letter}.",
    "Option {letter} is correct.",
    "{letter} is the correct answer.",
    "It's {letter}.",
    "\\boxed{{{letter}}}",
    "The final answer is $\\boxed{{\\text{{{letter}}}}}$.",
    "\\boxed{{{letter}. {text}}}",
    "<answer>{letter}</answer>",
    "<answer>{letter}. {text}</answer>",
    "<think>Perhaps another one.</think>{letter}",
    '{{"answer": "{letter}"}}',
    '{{"answer": "{letter}. {text}"}}',
    "{text}",
    "Answer: {text}",
    "The answer is {text}.",
    "<answer>{text}</answer>",
    "\\boxed{{{text}}}",
    "答案是{letter}。",
    "答えは{letter}です",
    "정답: {letter}",
    "Ответ: {letter}",
    "Die Antwort ist {letter}.",
)
WRAPPERS = (
    "**{}**",
    "<answer>{}</answer>",
    "<think>Perhaps another one.</think>{}",
    "\\boxed{{\\text{{{}}}}}",
    "```\n{}\n```",
    "Sure! {}",
    '"{}"',
)
QUESTIONS = (
    COLOURS,
    ("with a hat", "without a hat"),
    ("Yes", "No"),
    ("None", "Two", "Three", "Four"),
    ("EXIT", "NO PARKING", "STOP", "SLOW"),
    ("24/7", "9-5", "8-6", "never"),
    ("open", "not open"),
    ("2", "12", "2.5", "21"),
    ("blue", "light blue", "blue and white", "white"),
    ("The cup is on the left side of the bed.", "The cup is on the right side of the bed."),
    ("cat", "dog", "All of the above", "None of the above"),
    ("$1.50", "$15.00", "€1.50", "1.50"),
    ("red and green", "red or green", "neither red nor green", "no colour at all"),
    ("T-shirt", "V-neck", "tank top", "coat"),
    ("maybe", "if it rains", "unless it rains", "not at all"),
    ("Rome", "Paris", "Oslo", "Bern", "Cairo", "Lima", "Quito", "Delhi", "Seoul", "Accra"),
)


def letter_of(reply: str, options: list[str] | tuple[str, ...]) -> str | None:
    option = parse_choice(reply, options).option
    return None if option is None else chr(ord("A") + option)


def sample(options: list[str], answer: str) -> Sample:
    def no_picture() -> None:
        raise AssertionError("a rule needs no picture")

    return Sample("s", "test", Picture("p", no_picture), "?", tuple(options), answer)


@pytest.mark.parametrize(("truth", "options", "reply", "verdict", "kind"), CASES)
def test_replies_that_were_read_wrongly(
    truth: str, options: list[str], reply: str, verdict: str, kind: str
) -> None:
    answer = options[ord(truth) - ord("A")]
    right = {"right": True, "wrong": False, "undecided": None}[verdict]
    assert score_choice(sample(options, answer), reply).right is right, kind


def test_no_reply_of_the_table_is_read_as_another_option() -> None:
    wrong = [
        (reply, options, letter, read)
        for options, reply, letter, _ in TABLE
        if (read := letter_of(reply, options)) not in (None, letter)
    ]
    assert wrong == []


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_no_wrapper_makes_a_reply_name_another_option(wrapper: str) -> None:
    wrong = [
        (wrapper.format(reply), letter, read)
        for options, reply, letter, _ in TABLE
        if not set(reply) & set("{}<\\`")
        and (read := letter_of(wrapper.format(reply), options)) not in (None, letter)
    ]
    assert wrong == []


def test_few_replies_of_the_table_are_left_undecided() -> None:
    decidable: dict[str, list[str | None]] = defaultdict(list)
    for options, reply, letter, kind in TABLE:
        if letter is not None:
            decidable[kind].append(letter_of(reply, options))
    undecided = sum(read.count(None) for read in decidable.values())
    assert undecided <= UNDECIDED_AT_MOST * sum(map(len, decidable.values()))


def test_the_table_is_long_enough() -> None:
    replies = {(reply, tuple(options)) for options, reply, *_ in TABLE}
    assert len(replies) == len(TABLE) >= 1000


@pytest.mark.parametrize("options", QUESTIONS, ids=lambda options: options[0])
@pytest.mark.parametrize("template", TEMPLATES)
def test_every_way_of_answering_works_with_every_kind_of_options(
    template: str, options: tuple[str, ...]
) -> None:
    for place, text in enumerate(options):
        letter = chr(ord("A") + place)
        assert letter_of(template.format(letter=letter, text=text), options) == letter


@pytest.mark.parametrize(
    "template", [one for one in TEMPLATES if "{letter}" in one and "{text}" in one]
)
@pytest.mark.parametrize("options", QUESTIONS, ids=lambda options: options[0])
def test_a_letter_with_the_text_of_another_option_is_undecided(
    template: str, options: tuple[str, ...]
) -> None:
    for place in range(len(options)):
        other = options[(place + 1) % len(options)]
        reply = template.format(letter=chr(ord("A") + place), text=other)
        assert letter_of(reply, options) is None, reply


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_reply_cut_behind_any_word_or_sign_is_read_as_no_other_option(template: str) -> None:
    options = ("violet", "orange", "white", "black")
    for place, text in enumerate(options):
        letter = chr(ord("A") + place)
        reply = template.format(letter=letter, text=text)
        for stop in (i for i in range(len(reply)) if not reply[i - 1 : i + 1].isalpha()):
            assert letter_of(reply[:stop], options) in (None, letter), reply[:stop]


def test_a_reply_too_long_to_read_is_undecided_and_says_so() -> None:
    assert parse_choice("word " * LONGEST + "B", COLOURS) == (None, "too_long")
    assert parse_choice("red " * 1_000, COLOURS) == (None, "too_long")
    assert parse_choice("B" + "\n" * 100_000, COLOURS) == (1, "letter")


@pytest.mark.parametrize(
    ("reply", "provenance"),
    [("B", "letter"), ("green", "text"), ("B. green", "letter"), ("The answer is B", "letter")],
)
def test_the_provenance_names_what_decided(reply: str, provenance: str) -> None:
    assert parse_choice(reply, COLOURS) == (1, provenance)


PIECES = st.sampled_from(
    [
        "A",
        "B",
        "a",
        "or",
        "not",
        "the",
        "answer",
        "is",
        "red",
        "green",
        ".",
        "(",
        ")",
        "\n",
        "?",
        "\\boxed{",
        "}",
        "<answer>",
        "</answer>",
        "<think>",
        "</think>",
        '"',
        ":",
        ",",
        "{",
        "[",
        "$",
    ]
)


@given(st.lists(PIECES, max_size=12).map(" ".join) | st.text(max_size=60))
def test_no_reply_raises_and_what_is_decided_is_an_option(reply: str) -> None:
    option, provenance = parse_choice(reply, COLOURS)
    assert (option is None) == (provenance in ("ambiguous", "none", "too_long"))
    assert option in (None, 0, 1, 2, 3)


@given(st.lists(PIECES, max_size=12).map(" ".join))
def test_an_option_is_never_read_from_a_reply_that_does_not_name_it(reply: str) -> None:
    option = parse_choice(reply, COLOURS).option
    if option is not None:
        letter = chr(ord("a") + option)
        words = reply.casefold().split()
        assert letter in words or COLOURS[option] in words
