from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.judging.answer_rules import score_choice, score_text, score_yes_no
from speceyes_cli.core.replies.choices import parse_choice
from speceyes_cli.core.replies.yes_no import parse_yes_no
from speceyes_cli.core.samples import Sample, Verdict

FRUIT = ("apple", "banana", "cherry", "dragon fruit")
COLOURS = ("red", "dark red", "green", "blue")
NUMBERS = ("3", "13", "3.5", "30")
PLACES = (
    "The broom is on the left side of the bed",
    "The broom is on the right side of the bed",
)
ODD = ("NA", "None of the above", "No", "Both")
LETTERS = ("B", "A", "C", "D")

A, B, C, D = range(4)

CASES = [
    # letters that stand alone
    ("A", FRUIT, A, "letter"),
    ("b", FRUIT, B, "letter"),
    ("(b)", FRUIT, B, "letter"),
    ("[C]", FRUIT, C, "letter"),
    ("D.", FRUIT, D, "letter"),
    ("C)", FRUIT, C, "letter"),
    ("**B**", FRUIT, B, "letter"),
    ("`D`", FRUIT, D, "letter"),
    ("\\boxed{C}", FRUIT, C, "letter"),
    ("$\\boxed{\\text{C}}$", FRUIT, C, "letter"),
    ("<answer>B</answer>", FRUIT, B, "letter"),
    ("<answer> (B) </answer>", FRUIT, B, "letter"),
    ("\uff22", FRUIT, B, "letter"),
    ("\uff08\uff23\uff09", FRUIT, C, "letter"),
    ("\x1b[1mB\x1b[0m", FRUIT, B, "letter"),
    (" \n A \n", FRUIT, A, "letter"),
    ('"D"', FRUIT, D, "letter"),
    ("\u201cD\u201d", FRUIT, D, "letter"),
    # letters that lead
    ("B. banana", FRUIT, B, "letter"),
    ("(B) banana", FRUIT, B, "letter"),
    ("B: banana", FRUIT, B, "letter"),
    ("b) banana", FRUIT, B, "letter"),
    ("B - banana", FRUIT, B, "letter"),
    ("B.banana", FRUIT, B, "letter"),
    ("A.M.", FRUIT, None, "none"),
    ("A. The apple lies on the table.", FRUIT, A, "letter"),
    ("A.\nIt is on the table.", FRUIT, A, "letter"),
    ("B. The broom is on the right side of the bed", PLACES, B, "letter"),
    ("B. apple", FRUIT, None, "ambiguous"),
    ("A. apple B. banana", FRUIT, None, "ambiguous"),
    ("A. apple\nB. banana\nC. cherry", FRUIT, None, "ambiguous"),
    ("A. or B.", FRUIT, None, "ambiguous"),
    ("A. No, wait, it is B.", FRUIT, None, "ambiguous"),
    ("E. elderberry", FRUIT, None, "none"),
    # letters that follow a cue
    ("The answer is C.", FRUIT, C, "letter"),
    ("the answer is c.", FRUIT, C, "letter"),
    ("Answer: B", FRUIT, B, "letter"),
    ("Answer: (B)", FRUIT, B, "letter"),
    ("The correct answer is **D**.", FRUIT, D, "letter"),
    ("The correct option is A.", FRUIT, A, "letter"),
    ("I would choose option B", FRUIT, B, "letter"),
    ("I'd go with C.", FRUIT, C, "letter"),
    ("Option D seems right", FRUIT, D, "letter"),
    ("The answer is A because the picture shows it.", FRUIT, A, "letter"),
    ("Option A is right", FRUIT, A, "letter"),
    ("The answer is A red one", FRUIT, None, "none"),
    ("Choose A fruit", FRUIT, None, "none"),
    ("The answer is B because the picture shows it.", FRUIT, B, "letter"),
    ("\u7b54\u6848\u662f B", FRUIT, B, "letter"),
    ("\u7b54\u6848\uff1aC\u3002", FRUIT, C, "letter"),
    ("\u9009 D", FRUIT, D, "letter"),
    ("\u7b54\u6848\u4e0d\u662f B", FRUIT, None, "ambiguous"),
    ("The answer is A or B", FRUIT, None, "ambiguous"),
    ("The answer is B and C", FRUIT, None, "ambiguous"),
    ("The answer is not A", FRUIT, None, "ambiguous"),
    ("The answer isn't option B.", FRUIT, None, "ambiguous"),
    ("Option A is wrong", FRUIT, None, "ambiguous"),
    ("Option A is incorrect, option B is right", FRUIT, B, "letter"),
    ("The answer is B. Actually, the answer is C.", FRUIT, None, "ambiguous"),
    ("The answer is E", FRUIT, None, "none"),
    ("The answer is a mystery", FRUIT, None, "none"),
    ("The answer is a apple", FRUIT, A, "text"),
    # several letters
    ("A or B", FRUIT, None, "ambiguous"),
    ("A and B", FRUIT, None, "ambiguous"),
    ("A, B", FRUIT, None, "ambiguous"),
    ("A/B", FRUIT, None, "ambiguous"),
    ("AB", FRUIT, None, "none"),
    ("A, B, C and D", FRUIT, None, "ambiguous"),
    ("Neither A nor B", FRUIT, None, "ambiguous"),
    # texts
    ("apple", FRUIT, A, "text"),
    ("Apple", FRUIT, A, "text"),
    ("APPLE.", FRUIT, A, "text"),
    ("dragon  fruit", FRUIT, D, "text"),
    ("It is a banana.", FRUIT, B, "text"),
    ("The fruit in the bowl is a dragon fruit, clearly.", FRUIT, D, "text"),
    ("red", COLOURS, A, "text"),
    ("dark red", COLOURS, B, "text"),
    ("The car is dark red.", COLOURS, B, "text"),
    ("The car is red.", COLOURS, A, "text"),
    ("The car is red or dark red.", COLOURS, None, "ambiguous"),
    ("red and green", COLOURS, None, "ambiguous"),
    ("not red", COLOURS, None, "ambiguous"),
    ("It isn't blue", COLOURS, None, "ambiguous"),
    ("reddish", COLOURS, None, "none"),
    ("infrared", COLOURS, None, "none"),
    ("The broom is on the left side of the bed.", PLACES, A, "text"),
    ("on the left", PLACES, A, "text"),
    ("3", NUMBERS, A, "text"),
    ("13", NUMBERS, B, "text"),
    ("3.5", NUMBERS, C, "text"),
    ("There are 13 of them", NUMBERS, B, "text"),
    ("There are 3 of them", NUMBERS, A, "text"),
    ("It costs 3.5 euros", NUMBERS, C, "text"),
    ("There are 300", NUMBERS, None, "none"),
    ("-3", NUMBERS, None, "none"),
    # options that look like something else
    ("NA", ODD, A, "text"),
    ("na", ODD, A, "text"),
    ("None of the above", ODD, B, "text"),
    ("No", ODD, C, "text"),
    ("Both", ODD, D, "text"),
    ("A", LETTERS, None, "ambiguous"),
    ("C", LETTERS, C, "text"),
    ("\u7ea2\u8272", ("\u7ea2\u8272", "\u84dd\u8272"), A, "text"),
    ("\u8fd9\u8f86\u8f66\u662f\u7ea2\u8272\u7684", ("\u7ea2\u8272", "\u84dd\u8272"), A, "text"),
    # nothing to go by
    ("", FRUIT, None, "none"),
    ("   \n", FRUIT, None, "none"),
    ("none", FRUIT, None, "none"),
    ("I don't know", FRUIT, None, "none"),
    ("I think so", FRUIT, None, "none"),
    ("A fruit", FRUIT, None, "none"),
    ("A picture of some fruit.", FRUIT, None, "none"),
    ("Vitamin C", FRUIT, None, "none"),
    ("E", FRUIT, None, "none"),
    ("Apricot", FRUIT, None, "none"),
    ("Absolutely", FRUIT, None, "none"),
    ("Both", FRUIT, None, "none"),
    ("?", FRUIT, None, "none"),
    ("<tool_call>", FRUIT, None, "none"),
    ("A", (), None, "none"),
]


def sample(options: tuple[str, ...] = (), answer: str | None = None) -> Sample:
    def no_picture() -> None:
        raise AssertionError("a rule needs no picture")

    return Sample("s", "test", Picture("p", no_picture), "?", options, answer)


@pytest.mark.parametrize(("text", "options", "option", "provenance"), CASES)
def test_choice(text: str, options: tuple[str, ...], option: int | None, provenance: str) -> None:
    assert parse_choice(text, options) == (option, provenance)


def test_there_are_enough_cases() -> None:
    assert len({(text, options) for text, options, *_ in CASES}) >= 80


def test_apple_is_not_the_letter_a() -> None:
    assert score_choice(sample(("pear", "apple"), "pear"), "Apple") == Verdict(False, "text")
    assert score_choice(sample(("pear", "plum"), "pear"), "Apple") == Verdict(None, "none")


def test_a_letter_is_judged_by_its_option() -> None:
    assert score_choice(sample(FRUIT, "cherry"), "C") == Verdict(True, "letter")
    assert score_choice(sample(FRUIT, "cherry"), "B") == Verdict(False, "letter")


def test_options_with_equal_texts_are_one_answer() -> None:
    assert score_choice(sample(("red", "blue", "red"), "red"), "C").right is True
    assert score_choice(sample(("red", "blue", "red"), "red"), "red").right is True


def test_without_a_known_answer_nothing_is_decided() -> None:
    assert score_choice(sample(FRUIT), "B") == Verdict(None, "letter")
    assert score_yes_no(sample(), "yes") == Verdict(None, "yes_no")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("YES!", "yes"),
        ("**No**", "no"),
        ("no", "no"),
        ("No, there is no dog.", "no"),
        ("No dog is visible.", "no"),
        ("Yes, there is no other dog.", "yes"),
        ("Yes there is a dog", "yes"),
        ("<answer>yes</answer>", "yes"),
        ("The answer is no.", "no"),
        ("Answer: yes", "yes"),
        ("yes and no", None),
        ("Yes, no", None),
        ("No, yes", None),
        ("yes/no", None),
        ("Yes?", None),
        ("No idea", None),
        ("No doubt there is", None),
        ("Not sure", None),
        ("Yesterday", None),
        ("nothing", None),
        ("There is a dog", None),
        ("The answer is yes. Wait, no.", None),
        ("", None),
    ],
)
def test_yes_no(text: str, said: str | None) -> None:
    assert parse_yes_no(text) == said


def test_yes_no_is_judged() -> None:
    assert score_yes_no(sample(answer="yes"), "Yes.") == Verdict(True, "yes_no")
    assert score_yes_no(sample(answer="no"), "Yes.") == Verdict(False, "yes_no")
    assert score_yes_no(sample(answer="no"), "perhaps") == Verdict(None, "ambiguous")
    assert score_yes_no(sample(answer="no"), " ") == Verdict(None, "none")


def test_a_free_answer_is_right_or_undecided() -> None:
    assert score_text(sample(answer="Paris"), "paris.") == Verdict(True, "text")
    assert score_text(sample(answer="Paris"), "The capital") == Verdict(None, "none")
    assert score_text(sample(answer=""), "") == Verdict(None, "none")


words = st.sampled_from(
    ["A", "B", "a", "or", "not", "the", "answer", "is", "red", "dark red", ".", "(", ")", "\n", "?"]
)


@given(st.lists(words, max_size=8).map(" ".join) | st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    option, provenance = parse_choice(text, COLOURS)
    assert option is None or 0 <= option < len(COLOURS)
    assert (option is None) == (provenance in ("ambiguous", "none"))
    assert parse_yes_no(text) in (None, "yes", "no")


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=6))
@example(["?", "a$"])
@example(["0", "0", "0", 'E"', "E"])
def test_a_letter_alone_never_names_another_option(options: list[str]) -> None:
    for index in range(len(options)):
        chosen = parse_choice(chr(65 + index), options).option
        assert chosen in (None, index) or options[chosen].strip().casefold() == chr(97 + index)


@given(st.sampled_from(COLOURS), st.sampled_from(COLOURS))
def test_naming_two_options_is_never_right(first: str, second: str) -> None:
    assume(first != second)
    verdict = score_choice(sample(COLOURS, first), f"It is {first} or {second}.")
    assert verdict.right is not True
