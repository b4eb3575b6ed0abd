"""Boxes of tool calls, as fractions of the picture."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speceyes_cli.core.pictures.boxes import Fractions, box_of


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"box": [100, 200, 300, 400], "box_frame": "relative"}, (0.1, 0.2, 0.3, 0.4)),
        ({"box": [0.1, 0.2, 0.3, 0.4], "box_frame": "fractions"}, (0.1, 0.2, 0.3, 0.4)),
        (
            {"box": [0.1, 0.2, 0.3, 0.4], "box_frame": "fractions", "frame": None},
            (0.1, 0.2, 0.3, 0.4),
        ),
        (
            {"box": [10, 20, 30, 40], "box_frame": "pixels", "frame": [100, 50]},
            (0.1, 0.4, 0.3, 0.8),
        ),
        ({"box": [10, 20, 30, 40]}, (0.05, 0.1, 0.15, 0.2)),
        ({"box": "10 20 30 40"}, (0.05, 0.1, 0.15, 0.2)),
        ({"bbox_2d": [-50, 0, 100, 900]}, (0.0, 0.0, 0.5, 1.0)),
        ({"box": [30, 20, 10, 40]}, None),
        ({"box": [1, 2, 3]}, None),
        ({"box": ["a", 2, 3, 4]}, None),
        ({"box": [1, 2, float("nan"), 4]}, None),
        ({"box": [1, 2, float("inf"), 4]}, None),
        ({"box": None}, None),
        ({"box": [1, 2, 3, 4], "frame": [0, 8]}, None),
        ({"box": [1, 2, 3, 4], "frame": "ab"}, None),
        ({}, None),
    ],
)
def test_boxes_are_fractions_of_the_picture(
    arguments: dict[str, object], expected: tuple[float, ...] | None
) -> None:
    found = box_of(arguments, (200, 200))
    assert found == (None if expected is None else pytest.approx(Fractions(*expected)))


VALUES = st.recursive(
    st.none() | st.floats() | st.integers() | st.text(max_size=8) | st.booleans(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner),
)


@given(
    st.dictionaries(st.sampled_from(["box", "bbox_2d", "frame", "box_frame"]), VALUES),
    st.none() | st.tuples(st.none() | st.integers(), st.none() | st.integers()),
)
def test_any_arguments_have_a_box_within_the_picture_or_none(
    arguments: dict[str, Any], seen: tuple[int | None, int | None] | None
) -> None:
    found = box_of(arguments, seen)
    if found is not None:
        assert 0 <= found.left < found.right <= 1
        assert 0 <= found.top < found.bottom <= 1
