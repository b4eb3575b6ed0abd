from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from speceyes_plugins.agents.picture_tools import enlarge, rotate
from speceyes_plugins.agents.zoom import MAX_PIXELS

from speceyes_cli.core.chat import Observation, Picture, ToolError


def picture(width: int = 40, height: int = 20) -> Picture:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return Picture("p", lambda: image)


def shown(result: Observation | ToolError) -> Image.Image:
    assert isinstance(result, Observation), result
    [part] = result.content
    assert isinstance(part, Picture)
    return part.open()


@pytest.mark.parametrize(
    ("angle", "size", "top_left"),
    [
        (0, (40, 20), (255, 0, 0)),
        (90, (20, 40), (255, 0, 0)),
        (180, (40, 20), (0, 0, 255)),
        (-90, (20, 40), (0, 0, 255)),
        (270, (20, 40), (0, 0, 255)),
        (360, (40, 20), (255, 0, 0)),
    ],
)
def test_quarter_turns_are_clockwise_and_exact(
    angle: float, size: tuple[int, int], top_left: tuple[int, int, int]
) -> None:
    turned = shown(rotate(picture(), angle=angle, turn=0))
    assert turned.size == size
    assert turned.getpixel((0, 0)) == top_left
    assert sorted(count for count, _ in turned.getcolors() or ()) == [400, 400]


def test_a_slanted_turn_loses_nothing_of_the_picture() -> None:
    turned = shown(rotate(picture(), angle=45, turn=0))
    assert turned.width >= math.floor(60 / math.sqrt(2))
    assert turned.height >= math.floor(60 / math.sqrt(2))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_told(number: float) -> None:
    for result in (
        rotate(picture(), angle=number, turn=0),
        enlarge(picture(), factor=number, turn=0),
    ):
        assert isinstance(result, ToolError)
        assert result.kind == "bad_argument"


@pytest.mark.parametrize("factor", [1, 0.5, 0, -2])
def test_a_picture_is_only_made_larger(factor: float) -> None:
    result = enlarge(picture(), factor=factor, turn=0)
    assert isinstance(result, ToolError)
    assert "above 1" in result.text


@given(st.floats(1.01, 1e300), st.integers(1, 300), st.integers(1, 300))
def test_no_picture_grows_beyond_the_limit(factor: float, width: int, height: int) -> None:
    small = Image.new("RGB", (width, height))
    sizes: list[tuple[int, int]] = []
    small.resize = lambda size, *_: sizes.append(size) or small  # type: ignore[method-assign]
    result = enlarge(Picture("p", lambda: small), factor=factor, turn=0)
    assert isinstance(result, Observation)
    [(across, down)] = sizes
    assert across * down <= MAX_PIXELS
    assert across >= width
    assert down >= height
    assert bool(result.notes) == (factor > math.sqrt(MAX_PIXELS / (width * height)))


def test_a_picture_that_is_as_large_as_can_be_is_told_of() -> None:
    result = enlarge(picture(4000, 4000), factor=2, turn=0)
    assert isinstance(result, ToolError)
    assert result.kind == "bad_argument"


def test_a_picture_that_is_turned_time_and_again_does_not_grow() -> None:
    large = picture(4_000, 3_400)
    sizes = []
    for turn in range(4):
        image = shown(rotate(large, angle=45, turn=turn))
        large = Picture("turned", image.copy)
        sizes.append(image.width * image.height)
    assert max(sizes) < 1.01 * 4_000 * 3_400
    small = shown(rotate(picture(400, 300), angle=30, turn=0))
    assert small.width * small.height > 400 * 300
