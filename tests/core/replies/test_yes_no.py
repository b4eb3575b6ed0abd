"""What a careful reader makes of a reply to a yes/no question, and of a screen's and a score's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.replies.scores import read_score
from speceyes_cli.core.replies.yes_no import parse_yes_no, says_no

HERE = Path(__file__).parent
CASES = json.loads((HERE / "cases.json").read_text("utf-8"))
UNDECIDED_AT_MOST = 0.05


def table(name: str) -> list[list[str | bool | int | None]]:
    rows: list[list[str | bool | int | None]] = json.loads(
        (HERE / f"{name}.json").read_text("utf-8")
    )
    return rows


@pytest.mark.parametrize(("truth", "reply", "said"), CASES["yes_no"])
def test_yes_and_no_that_were_read_wrongly(truth: str, reply: str, said: str) -> None:
    assert truth in ("yes", "no")
    assert parse_yes_no(reply) == (None if said == "undecided" else said)


@pytest.mark.parametrize(("reply", "passes"), CASES["screen_passes"] + table("screens"))
def test_a_screen_passes_where_it_says_no(reply: str, passes: bool) -> None:
    assert says_no(reply) is passes


@pytest.mark.parametrize(("reply", "score"), CASES["step_scores"] + table("scores"))
def test_a_score_is_one_digit(reply: str, score: int | None) -> None:
    assert read_score(reply) == score


def test_no_reply_of_the_table_is_read_as_the_other_word() -> None:
    wrong = [
        (question, reply, said)
        for question, reply, said in table("yes_no")
        if parse_yes_no(str(reply), str(question)) not in (None, said)
    ]
    assert wrong == []


def test_few_replies_of_the_table_are_left_undecided() -> None:
    read = [
        parse_yes_no(str(reply), str(question))
        for question, reply, said in table("yes_no")
        if said is not None
    ]
    assert read.count(None) <= UNDECIDED_AT_MOST * len(read)


def test_a_statement_counts_for_the_object_asked_for_only() -> None:
    asked = "Is there a dining table in the image?"
    assert parse_yes_no("I see no dining table.", asked) == "no"
    assert parse_yes_no("There is a dining table.", asked) == "yes"
    assert parse_yes_no("I see no chair.", asked) is None
    assert parse_yes_no("There is a table.", asked) is None


PIECES = st.sampled_from(
    [
        "yes",
        "no",
        "No",
        "Yes",
        "answer",
        "is",
        ":",
        ",",
        ".",
        "?",
        "\n",
        "not",
        "7",
        "step",
        "/",
        "9",
    ]
)


@given(st.lists(PIECES, max_size=10).map(" ".join) | st.text(max_size=60))
def test_no_reply_raises(reply: str) -> None:
    assert parse_yes_no(reply, "Is there a dog in the image?") in (None, "yes", "no")
    assert read_score(reply) in (None, *range(10))
    assert says_no(reply) in (True, False)


@given(st.lists(PIECES, max_size=10).map(" ".join))
def test_yes_or_no_is_read_only_where_it_stands(reply: str) -> None:
    said = parse_yes_no(reply)
    assert said is None or said in reply.casefold().split()
