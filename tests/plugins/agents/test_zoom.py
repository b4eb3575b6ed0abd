from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from qwen_vl_utils.vision_process import smart_resize as published_resize
from speceyes_plugins.agents.boxes import Box
from speceyes_plugins.agents.zoom import (
    GRID,
    MAX_PIXELS,
    MIN_PIXELS,
    MOST_TIMES,
    crop_size,
    whole_pixels,
    zoom,
)
from transformers import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from speceyes_cli.core.chat import BoxFrame, Observation, Picture, Size, ToolError

sides = st.integers(1, 20_000)


def picture(width: int, height: int) -> Picture:
    return Picture("p", lambda: Image.new("RGB", (width, height)))


def crop(shown: Picture, box: Box, seen: Size | None, kind: BoxFrame = "pixels") -> Image.Image:
    found = zoom(shown, box, box_frame=kind, frame=seen, turn=0)
    assert isinstance(found, Observation), found
    (part,) = found.content
    assert isinstance(part, Picture)
    return part.open()


def middle_red(width: int, height: int) -> Picture:
    """White, with a red middle from 45% to 55% each way."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("red", tuple(round(s * f) for f in (0.45, 0.55) for s in (width, height)))
    return Picture("p", lambda: image)


@pytest.mark.parametrize(
    ("kind", "box"),
    [("relative", Box(450, 450, 550, 550)), ("pixels", Box(252, 126, 308, 154))],
)
def test_the_middle_is_the_middle_in_either_frame(kind: BoxFrame, box: Box) -> None:
    shown = crop(middle_red(2000, 1000), box, Size(560, 280), kind)
    assert shown.resize((1, 1)).getpixel((0, 0)) == (255, 0, 0)


def test_a_relative_box_needs_no_frame() -> None:
    assert crop(middle_red(2000, 1000), Box(0, 0, 1000, 500), None, "relative").size == (1988, 504)


def test_a_relative_box_beyond_1000_is_cut_and_noted() -> None:
    found = zoom(
        picture(400, 400), Box(500, 0, 1200, 500), box_frame="relative", frame=None, turn=0
    )
    assert isinstance(found, Observation)
    assert found.notes == ("box [500, 0, 1200, 500] was cut to the picture",)


@pytest.mark.parametrize(
    ("size", "seen", "box"),
    [
        (Size(8000, 6000), Size(2000, 1500), Box(0, 300, 1250, 303)),
        (Size(1000, 800), None, Box(0, 300, 1000, 301)),
        (Size(1000, 800), None, Box(500, 0, 505, 800)),
        (Size(5432, 28), None, Box(0, 0, 5432, 28)),
    ],
)
def test_a_sliver_is_told_to_the_model(size: Size, seen: Size | None, box: Box) -> None:
    found = zoom(picture(*size), box, box_frame="pixels", frame=seen, turn=0)
    assert isinstance(found, ToolError)
    assert found.kind == "bad_box"
    assert "times the other" in found.text


@pytest.mark.parametrize(
    ("box", "said"),
    [
        (Box(500, 500, 600, 600), r"outside .*\(100x100\)"),
        (Box(-20, 10, -10, 40), "outside"),
        (Box(10, 10, 10.4, 40), "too small"),
    ],
)
def test_a_box_that_holds_nothing_is_told(box: Box, said: str) -> None:
    found = zoom(picture(100, 100), box, box_frame="pixels", frame=None, turn=0)
    assert isinstance(found, ToolError)
    assert re.search(said, found.text)


def test_rounding_is_outward_or_as_upstream_cuts() -> None:
    box = Box(1.7, 2.2, 9.2, 8.8)
    assert whole_pixels(box, "outward") == (1, 2, 10, 9)
    assert whole_pixels(box, "truncate") == (1, 2, 9, 8)
    assert whole_pixels(Box(1.2, 1.2, 2.3, 1.9), "truncate") == (1, 1, 2, 2)


@given(sides, sides)
def test_crop_sizes_are_multiples_within_the_limits(width: int, height: int) -> None:
    size = crop_size((width, height))
    assert all(side % GRID == 0 and side > 0 for side in size)
    assert math.prod(size) <= MAX_PIXELS
    assert max(size) <= MOST_TIMES * min(size)
    if max(width, height) <= MOST_TIMES * min(width, height):
        assert math.prod(size) >= MIN_PIXELS


@pytest.mark.parametrize("factor", [28, 32])
def test_the_thinnest_crops_go_through_the_real_processor(factor: int) -> None:
    """Twice, as where a picture is sent in the size in which the model will see it."""
    processor = Qwen2VLImageProcessor(
        patch_size=factor // 2, size={"shortest_edge": 3136, "longest_edge": 484 * 784}
    )
    for size in (Size(4100, 41), Size(6900, 69), Size(1, 100), Size(20_000, 200)):
        shown = crop(picture(*size), Box(0, 0, *size), None)
        for _ in range(2):
            (grid,) = processor(images=[shown], return_tensors="pt")["image_grid_thw"].tolist()
            shown = Image.new("RGB", (grid[2] * factor // 2, grid[1] * factor // 2))


@given(
    short=st.integers(1, 400),
    times=st.floats(1, MOST_TIMES),
    factor=st.sampled_from([28, 32]),
    least=st.integers(1, 300),
    more=st.integers(0, 4000),
    upright=st.booleans(),
)
@example(short=69, times=100.0, factor=28, least=4, more=480, upright=False)
@settings(max_examples=300)
def test_every_crop_can_be_seen_and_seen_again(
    short: int, times: float, factor: int, least: int, more: int, *, upright: bool
) -> None:
    """Both libraries' rules take it, and what they make of it, at any areas."""
    long = int(short * times)
    width, height = crop_size((short, long) if upright else (long, short))
    areas = least * factor**2, (least + more) * factor**2
    frame = smart_resize(height, width, factor, *areas)
    assert min(smart_resize(*frame, factor, *areas)) > 0
    published_resize(height, width, factor, *areas)
