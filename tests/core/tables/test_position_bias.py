from __future__ import annotations

from typing import Any

import pytest

from speceyes_cli.core.run.records import Record
from speceyes_cli.core.tables.position_bias import position_bias

COLOURS = ("red", "green", "blue")


def record(text: str | None, answer: str | None, options: tuple[str, ...] = COLOURS) -> Record:
    return Record.model_construct(text=text, answer=answer, options=options)


def test_shares_of_answers_and_of_right_options() -> None:
    records = [
        record("A", "red"),
        record("A", "green"),
        record("red", "blue"),
        record("C", "blue"),
        record("A or B", "red"),
        record(None, "red"),
    ]
    bias = position_bias(records)
    assert bias is not None
    assert bias.predicted == {"A": 0.75, "B": 0.0, "C": 0.25}
    assert bias.golden == pytest.approx({"A": 3 / 6, "B": 1 / 6, "C": 2 / 6})


@pytest.mark.parametrize(
    "records", [[], [record("yes", "yes", ())], [record("A", None)], [record("A", "pink")]]
)
def test_without_multiple_choice_there_is_none(records: list[Any]) -> None:
    assert position_bias(records) is None


def test_nobody_answered() -> None:
    bias = position_bias([record(None, "red")])
    assert bias is not None
    assert set(bias.predicted.values()) == {0.0}
