from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speceyes_judges.llm.prompt import (
    ANSWER_LIMIT,
    FIRST,
    SECOND,
    content,
    messages,
    parse_verdict,
)


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("1", True),
        ("0", False),
        (" 1\n", True),
        ("\t0 ", False),
        ("", None),
        ("2", None),
        ("10", None),
        ("1.", None),
        ("-1", None),
        ("1 0", None),
        ("Verdict: 1", None),
        ("one", None),
        ("\u0661", None),
        ("\uff11", None),
        ("\u00b9", None),
        ("1\u200b", None),
        ("True", None),
    ],
)
def test_only_one_digit_is_a_verdict(reply: str, right: bool | None) -> None:
    assert parse_verdict(reply) is right


@given(st.text())
def test_anything_else_is_none(reply: str) -> None:
    said = parse_verdict(reply)
    assert said is {"1": True, "0": False}.get(reply.strip(" \t\r\n"))


@given(st.text(alphabet="01 \n\t", max_size=6))
def test_digits_and_space_are_read_strictly(reply: str) -> None:
    assert parse_verdict(reply) is {"1": True, "0": False}.get(reply.strip())


@given(st.text(), st.text(), st.lists(st.text(), max_size=4), st.text())
def test_an_answer_stays_within_its_field(
    question: str, known: str, options: list[str], said: str
) -> None:
    case = json.loads(content(question, tuple(options), known, said))
    assert set(case) <= {"question", "options", "right letter", "right answer", "answer to judge"}
    assert case["question"] == question
    assert case["right answer"] == known
    if known in options:
        assert case["options"][case["right letter"]] == known


def test_a_long_answer_keeps_its_ends() -> None:
    said = "b" + "x" * 3 * ANSWER_LIMIT + "e"
    judged = json.loads(content("?", (), "k", said))["answer to judge"]
    assert len(judged) < ANSWER_LIMIT + 10
    assert (judged[0], judged[-1]) == ("b", "e")
    assert "[…]" in judged


@pytest.mark.parametrize("wording", [FIRST, SECOND])
def test_the_examples_show_both_verdicts_in_the_form_asked_for(wording: object) -> None:
    assert isinstance(wording, type(FIRST))
    verdicts = [verdict for _, verdict in wording.examples]
    assert set(verdicts) == {"0", "1"}
    turns = messages(wording, "case")
    assert [turn["role"] for turn in turns] == ["system", *["user", "assistant"] * 8, "user"]
    assert turns[-1]["content"] == "case"


def test_wordings_have_digests_of_their_own() -> None:
    assert FIRST.digest != SECOND.digest
    assert FIRST.digest != FIRST._replace(examples=FIRST.examples[1:]).digest
