from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speceyes_datasets.lettered import take_apart, without_letter
from speceyes_datasets.rows import SampleRow

from speceyes_cli.core.errors import RowError

words = st.from_regex(r"[a-z][a-z .?'0-9]{0,20}[a-z]", fullmatch=True).filter(
    lambda text: not text.startswith(("answer", "please", "select", "respond"))
)
LAYOUTS = ("({}) {}", "{}. {}", "{}) {}", "{}: {}", "  ({}) {}")


def row(text: str) -> SampleRow:
    return SampleRow("a.parquet, row 1", 1, {"query": text})


@given(
    words,
    st.lists(words, max_size=6),
    st.sampled_from(LAYOUTS),
    st.sampled_from(["", "\nAnswer with the option's letter.", "\nPlease select one."]),
)
def test_what_was_put_together_is_taken_apart(
    question: str, options: list[str], layout: str, last: str
) -> None:
    lines = [layout.format(chr(ord("A") + i), text) for i, text in enumerate(options)]
    found = take_apart(row("\n".join([question, *lines]) + last), "query")
    assert found == (question, tuple(options))


@given(st.text(max_size=60))
def test_no_text_is_lost_but_letters_and_what_asks_for_them(text: str) -> None:
    try:
        found = take_apart(row(text), "query")
    except RowError:
        return
    kept = "".join("".join([found.question, *found.options]).split())
    assert set(kept) <= set(text)
    assert found.question


@given(words, st.integers(0, 25), st.sampled_from(LAYOUTS))
def test_only_an_options_own_letter_is_taken_off(text: str, place: int, layout: str) -> None:
    own = layout.format(chr(ord("A") + place), text)
    assert without_letter(own, place) == text
    assert without_letter(own, place + 1) == own
    assert without_letter(text, place) == text


@pytest.mark.parametrize("text", ["(A) or (B)", "A dog", "Is it A.", "(b) red"])
def test_letters_that_are_words_of_the_option_stay(text: str) -> None:
    assert without_letter(text, 1) == text
