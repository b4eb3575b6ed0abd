"""What a careful reader makes of a model's answer when the right option is known."""

# ruff: noqa: RUF001 - answers as models write them, full-width letters included

from __future__ import annotations

import pytest
from PIL import Image

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.judging.answer_rules import score_choice
from speceyes_cli.core.samples import Sample, Verdict

FOOD = ("Apple", "Banana", "Carrot", "Date")
MATERIAL = ("rubber", "cotton", "kevlar", "leather")
SIDE = (
    "The red backpack is on the left side of the bench.",
    "The red backpack is on the right side of the bench.",
)
SHADE = ("blue", "light blue", "blue and white", "white")
SIGN = ("STOP", "SLOW", "NO ENTRY", "NA")
COUNT = ("2", "12", "2.5", "21")
TIME = ("10:15", "10:50", "9:15", "15:10")
PRICE = ("$1.50", "$15.0", "€1.50", "1.50")
QUOTED = ('"Open"', "Closed", "It's closed for today", "Tab\there")
CHINESE = ("红色", "深红色", "蓝色", "绿色")
SAME = ("red", "green", "Red", "blue")
MANY = tuple(f"item {number}" for number in range(26))

RIGHT, WRONG, UNDECIDED = True, False, None

CASES = [
    # the letter, in the ways models write it
    ("A", FOOD, "Apple", RIGHT, "letter"),
    ("B", FOOD, "Apple", WRONG, "letter"),
    ("a", FOOD, "Apple", RIGHT, "letter"),
    ("(a)", FOOD, "Apple", RIGHT, "letter"),
    ("(b)", FOOD, "Banana", RIGHT, "letter"),
    ("[B]", FOOD, "Banana", RIGHT, "letter"),
    ("B)", FOOD, "Banana", RIGHT, "letter"),
    ("B.", FOOD, "Banana", RIGHT, "letter"),
    (" B \n", FOOD, "Banana", RIGHT, "letter"),
    ("'C'", FOOD, "Carrot", RIGHT, "letter"),
    ("**C**", FOOD, "Carrot", RIGHT, "letter"),
    ("**(C)**", FOOD, "Carrot", RIGHT, "letter"),
    ("\\boxed{D}", FOOD, "Date", RIGHT, "letter"),
    ("<answer>D</answer>", FOOD, "Date", RIGHT, "letter"),
    ("<answer>\nD\n</answer>", FOOD, "Date", RIGHT, "letter"),
    ("Ｂ", FOOD, "Banana", RIGHT, "letter"),
    ("（C）", FOOD, "Carrot", RIGHT, "letter"),
    ("Z", MANY, "item 25", RIGHT, "letter"),
    ("E", FOOD, "Apple", UNDECIDED, "none"),
    # the letter and its text
    ("A. Apple", FOOD, "Apple", RIGHT, "letter"),
    ("(A) Apple", FOOD, "Apple", RIGHT, "letter"),
    ("A: Apple", FOOD, "Apple", RIGHT, "letter"),
    ("A) apple.", FOOD, "Apple", RIGHT, "letter"),
    ("B. cotton", MATERIAL, "rubber", WRONG, "letter"),
    ("B. rubber", MATERIAL, "rubber", UNDECIDED, "ambiguous"),
    ("**A. rubber**", MATERIAL, "rubber", RIGHT, "letter"),
    (f"A. {SIDE[0]}", SIDE, SIDE[0], RIGHT, "letter"),
    (f"(B) {SIDE[1]}", SIDE, SIDE[0], WRONG, "letter"),
    # a sentence that says which
    ("The answer is C.", FOOD, "Carrot", RIGHT, "letter"),
    ("The answer is (C).", FOOD, "Carrot", RIGHT, "letter"),
    ("The answer is: C", FOOD, "Carrot", RIGHT, "letter"),
    ("The answer is C. Carrot", FOOD, "Carrot", RIGHT, "letter"),
    ("The correct answer is option B.", FOOD, "Banana", RIGHT, "letter"),
    ("Answer: A", FOOD, "Apple", RIGHT, "letter"),
    ("Final answer: D", FOOD, "Date", RIGHT, "letter"),
    ("Option B", FOOD, "Banana", RIGHT, "letter"),
    ("I choose D.", FOOD, "Date", RIGHT, "letter"),
    ("I would pick (A).", FOOD, "Apple", RIGHT, "letter"),
    ("The glove is made of kevlar, so the answer is C.", MATERIAL, "kevlar", RIGHT, "letter"),
    ("The material of the glove is rubber.", MATERIAL, "rubber", RIGHT, "text"),
    ("答案是 B", FOOD, "Banana", RIGHT, "letter"),
    ("答案是B。", FOOD, "Banana", RIGHT, "letter"),
    ("答案：(C)", FOOD, "Carrot", RIGHT, "letter"),
    ("选择A", FOOD, "Apple", RIGHT, "letter"),
    ("正确答案是 D", FOOD, "Apple", WRONG, "letter"),
    # the text alone; no letter is read out of a word
    ("Apple", FOOD, "Apple", RIGHT, "text"),
    ("Apple", ("Banana", "Apple"), "Banana", WRONG, "text"),
    ("Apple", ("Banana", "Carrot"), "Banana", UNDECIDED, "none"),
    ("banana", FOOD, "Banana", RIGHT, "text"),
    ("Banana!", FOOD, "Banana", RIGHT, "text"),
    ("Bananas", FOOD, "Banana", UNDECIDED, "none"),
    ("Dated", FOOD, "Date", UNDECIDED, "none"),
    ("A banana", FOOD, "Banana", RIGHT, "text"),
    ("It is a carrot on the table.", FOOD, "Carrot", RIGHT, "text"),
    ("leather.", MATERIAL, "leather", RIGHT, "text"),
    (SIDE[0], SIDE, SIDE[0], RIGHT, "text"),
    (SIDE[1].lower(), SIDE, SIDE[0], WRONG, "text"),
    ("left", SIDE, SIDE[0], RIGHT, "text"),
    # an option inside another
    ("blue", SHADE, "blue", RIGHT, "text"),
    ("light blue", SHADE, "light blue", RIGHT, "text"),
    ("light blue", SHADE, "blue", WRONG, "text"),
    ("The shirt is light blue.", SHADE, "light blue", RIGHT, "text"),
    ("The shirt is blue and white.", SHADE, "blue and white", RIGHT, "text"),
    ("The shirt is blue.", SHADE, "light blue", WRONG, "text"),
    ("blue or white", SHADE, "blue", UNDECIDED, "ambiguous"),
    ("深红色", CHINESE, "深红色", RIGHT, "text"),
    ("红色", CHINESE, "深红色", WRONG, "text"),
    # options that look like numbers, signs or nothing
    ("2", COUNT, "2", RIGHT, "text"),
    ("12", COUNT, "2", WRONG, "text"),
    ("2.5", COUNT, "2", WRONG, "text"),
    ("There are 21 boats.", COUNT, "21", RIGHT, "text"),
    ("10:50", TIME, "10:50", RIGHT, "text"),
    ("The clock shows 9:15.", TIME, "9:15", RIGHT, "text"),
    ("$1.50", PRICE, "$1.50", RIGHT, "text"),
    ("It costs $15.0", PRICE, "$15.0", RIGHT, "text"),
    ("1.50", PRICE, "$1.50", WRONG, "text"),
    ("The answer is $B$.", PRICE, "$15.0", RIGHT, "letter"),
    ("#3", ("#3", "3", "__3__", "#33"), "#3", RIGHT, "text"),
    ("### Answer: B", FOOD, "Banana", RIGHT, "letter"),
    ("__Banana__", FOOD, "Banana", RIGHT, "text"),
    ("NA", SIGN, "NA", RIGHT, "text"),
    ("NO ENTRY", SIGN, "NO ENTRY", RIGHT, "text"),
    ("stop", SIGN, "STOP", RIGHT, "text"),
    ("Open", QUOTED, '"Open"', RIGHT, "text"),
    ("It's closed for today", QUOTED, "It's closed for today", RIGHT, "text"),
    ("Tab here", QUOTED, "Tab\there", RIGHT, "text"),
    ("red", SAME, "red", RIGHT, "text"),
    ("C", SAME, "red", RIGHT, "letter"),
    # several, or none
    ("A or B", FOOD, "Apple", UNDECIDED, "ambiguous"),
    ("A and B", FOOD, "Apple", UNDECIDED, "ambiguous"),
    ("A, C", FOOD, "Apple", UNDECIDED, "ambiguous"),
    ("A, B, C, D", FOOD, "Apple", UNDECIDED, "ambiguous"),
    ("Apple or Banana", FOOD, "Apple", UNDECIDED, "ambiguous"),
    ("Apple and Carrot", FOOD, "Apple", UNDECIDED, "ambiguous"),
    ("not Apple", FOOD, "Apple", UNDECIDED, "ambiguous"),
    ("It is not A.", FOOD, "Apple", UNDECIDED, "ambiguous"),
    ("The answer is A, not B.", FOOD, "Apple", RIGHT, "letter"),
    ("none", FOOD, "Apple", UNDECIDED, "none"),
    ("None of them", FOOD, "Apple", UNDECIDED, "none"),
    ("I cannot see it.", FOOD, "Apple", UNDECIDED, "none"),
    ("", FOOD, "Apple", UNDECIDED, "none"),
    ("...", FOOD, "Apple", UNDECIDED, "none"),
    ("A blurry picture", FOOD, "Apple", UNDECIDED, "none"),
    ("I see a table", FOOD, "Apple", UNDECIDED, "none"),
]


def sample(options: tuple[str, ...], answer: str) -> Sample:
    return Sample("s", "t", Picture("p", lambda: Image.new("RGB", (1, 1))), "?", options, answer)


@pytest.mark.parametrize(("text", "options", "gold", "right", "provenance"), CASES)
def test_verdict(
    text: str, options: tuple[str, ...], gold: str, right: bool | None, provenance: str
) -> None:
    assert gold in options
    assert score_choice(sample(options, gold), text) == Verdict(right, provenance)


def test_the_table_is_long_enough() -> None:
    assert len({(text, options, gold) for text, options, gold, *_ in CASES}) >= 80
