from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from speceyes_cli.core.tables.position_bias import PositionBias, position_bias, read_letters

COLOURS = ("red", "green", "blue")


Said = tuple[str | None, str | None, tuple[str, ...]]


def record(text: str | None, answer: str | None, options: tuple[str, ...] = COLOURS) -> Said:
    return text, answer, options


def bias_of(records: list[Said]) -> PositionBias | None:
    columns: Any = SimpleNamespace(
        text=[text for text, _, _ in records],
        answer=[answer for _, answer, _ in records],
        options=[options for _, _, options in records],
    )
    return position_bias(read_letters(columns))


def test_shares_of_answers_and_of_right_options() -> None:
    records = [
        record("A", "red"),
        record("A", "green"),
        record("red", "blue"),
        record("C", "blue"),
        record("A or B", "red"),
        record(None, "red"),
    ]
    bias = bias_of(records)
    assert bias is not None
    assert bias.predicted == {"A": 0.75, "B": 0.0, "C": 0.25}
    assert bias.golden == pytest.approx({"A": 3 / 6, "B": 1 / 6, "C": 2 / 6})


@pytest.mark.parametrize(
    "records", [[], [record("yes", "yes", ())], [record("A", None)], [record("A", "pink")]]
)
def test_without_multiple_choice_there_is_none(records: list[Said]) -> None:
    assert bias_of(records) is None


def test_nobody_answered() -> None:
    bias = bias_of([record(None, "red")])
    assert bias is not None
    assert set(bias.predicted.values()) == {0.0}
