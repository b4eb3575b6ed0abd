from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speceyes_plugins.agents.boxes import BOX_KEYS, Box, Frame, read_box
from speceyes_plugins.agents.tool_calls import CallError

from speceyes_cli.core.chat import Size

PIXELS = Frame("pixels", Size(1000, 800))
RELATIVE = Frame("relative", Size(1000, 800))
MEANT = Box(10, 20, 110, 120)
FORMS: list[Any] = [
    [10, 20, 110, 120],
    [10.0, 20.0, 110.0, 120.0],
    ["10", "20", "110", "120"],
    [" 10", "20.0", "1.1e2", "+120"],
    [[10, 20, 110, 120]],
    [[[10, 20, 110, 120]]],
    [[10, 20], [110, 120]],
    [{"x": 10, "y": 20}, {"x": 110, "y": 120}],
    [{"bbox_2d": [10, 20, 110, 120]}],
    ["10, 20, 110, 120"],
    "10, 20, 110, 120",
    "10 20 110 120",
    "[10, 20, 110, 120]",
    "(10, 20), (110, 120)",
    "[[10, 20], [110, 120]]",
    "x1=10, y1=20, x2=110, y2=120",
    "x1: 10, y1: 20, x2: 110, y2: 120",
    '{"x1": 10, "y1": 20, "x2": 110, "y2": 120}',
    {"x1": 10, "y1": 20, "x2": 110, "y2": 120},
    {"X1": "10", "Y1": "20", "X2": "110", "Y2": "120"},
    {"x0": 10, "y0": 20, "x1": 110, "y1": 120},
    {"xmin": 10, "ymin": 20, "xmax": 110, "ymax": 120},
    {"x_min": 10, "y_min": 20, "x_max": 110, "y_max": 120},
    {"left": 10, "top": 20, "right": 110, "bottom": 120},
    {"x": 10, "y": 20, "width": 100, "height": 100},
    {"x": 10, "y": 20, "w": 100, "h": 100},
    {"left": 10, "top": 20, "width": 100, "height": 100},
    {"top_left": [10, 20], "bottom_right": [110, 120]},
    {"topLeft": {"x": 10, "y": 20}, "bottomRight": {"x": 110, "y": 120}},
    [110, 120, 10, 20],
    [110, 20, 10, 120],
    ["110", 120, 10, "20"],
]


@pytest.mark.parametrize("frame", [PIXELS, RELATIVE])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_box_is_read_and_what_was_mended_is_noted(form: Any, frame: Frame) -> None:
    box, mends = read_box({"bbox_2d": form, "label": "x"}, frame)
    assert box == MEANT
    plain = isinstance(form, list) and form[:2] == [10, 20]
    assert bool(mends) != plain


@pytest.mark.parametrize("key", [*sorted(BOX_KEYS), "Box", " bbox_2d "])
def test_a_box_under_another_name_is_read(key: str) -> None:
    box, mends = read_box({"label": "x", key: [10, 20, 110, 120]}, PIXELS)
    assert box == MEANT
    assert len(mends) == (key != "bbox_2d")


@pytest.mark.parametrize(
    "arguments",
    [
        [10, 20, 110, 120],
        "10, 20, 110, 120",
        {"x1": 10, "y1": 20, "x2": 110, "y2": 120, "label": "x"},
        {"label": "x", "top_left": [10, 20], "bottom_right": [110, 120]},
        {"label": "x", "bbox_2": [10, 20, 110, 120]},
        {"args": {"bbox_2d": [10, 20, 110, 120]}},
    ],
)
def test_a_box_without_its_name_is_read(arguments: Any) -> None:
    box, mends = read_box(arguments, PIXELS)
    assert box == MEANT
    assert mends


def test_pixels_by_their_unit_are_pixels() -> None:
    form: Any = ["10px", "20 px", "110PX", "120px"]
    assert read_box({"bbox_2d": form}, PIXELS)[0] == MEANT
    with pytest.raises(CallError, match="from 0 to 1000"):
        read_box({"bbox_2d": form}, RELATIVE)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ([0.01, 0.025, 0.11, 0.15], r"fractions: pixels of the picture as shown \(1000x800\)"),
        ([0, 0, 1, 1], "fractions"),
        (["0.1", "0.2", "0.3", "0.4"], "fractions"),
        (["10%", "20%", "30%", "40%"], "percentages: pixels"),
        ("10%, 20%, 30%, 40%", "percentages"),
        ([10, 20, 110], "3 were given"),
        ([], "0 were given"),
        ([10, 20, 110, 120, 5], "5 were given"),
        ([[1, 2, 3, 4], [5, 6, 7, 8]], "one box a call; 8 were given"),
        (["1, 2, 3, 4", "5, 6, 7, 8"], "four numbers"),
        ([10, 20, True, 120], "not true"),
        ([10, 20, None, 120], "not null"),
        (["ten", 20, 110, 120], 'not "ten"'),
        ("the whole picture", "four numbers"),
        ("", "0 were given"),
        (None, "not null"),
        (7, 'not "7"'),
        ({"x1": 10, "y1": 20}, 'not "x1, y1"'),
        ({}, "four numbers"),
        ({"x": 10, "y": 20, "width": 0, "height": 5}, "width and height"),
        ([10, 10, 10, 40], "empty"),
        ([float("nan"), 0, 1, 1], "finite"),
        ([float("inf"), 0, 1, 1], "finite"),
    ],
)
def test_an_error_says_what_is_wrong_with_this_box(box: Any, said: str) -> None:
    with pytest.raises(CallError, match=said) as caught:
        read_box({"bbox_2d": box}, PIXELS)
    units = "fractions" in said or "percentages" in said
    assert caught.value.kind == ("wrong_frame" if units else "bad_box")


@pytest.mark.parametrize(
    "arguments",
    [{}, {"label": "x"}, None, "", {"angle": 90}, {"a": [1, 2, 3, 4], "b": [1, 2, 3, 4]}],
)
def test_a_missing_box_is_asked_for(arguments: Any) -> None:
    with pytest.raises(CallError, match=r"no bbox_2d.*1000x800"):
        read_box(arguments, PIXELS)
    with pytest.raises(CallError, match=r"no bbox_2d.*from 0 to 1000"):
        read_box(arguments, RELATIVE)


leaves = st.one_of(
    st.floats(), st.integers(), st.none(), st.text(max_size=6), st.booleans(), st.just("10, 20")
)
names = st.sampled_from(["x", "y", "x1", "y1", "x2", "y2", "left", "width", "bbox", "start", "end"])
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)


@given(anything, st.sampled_from([PIXELS, RELATIVE]))
def test_whatever_stands_for_a_box_is_a_box_or_an_error(arguments: Any, frame: Frame) -> None:
    for given_value in (arguments, {"bbox_2d": arguments}):
        try:
            box, _ = read_box(given_value, frame)
        except CallError:
            continue
        assert box.left < box.right
        assert box.top < box.bottom
