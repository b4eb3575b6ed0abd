"""The zoom tool: crops the original picture by a box in the frame of the model that gave it."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

from PIL import Image

from speceyes_cli.plugin import Observation, Picture, Size, ToolError
from speceyes_plugins.agents.boxes import Box, Frame, Units

__all__ = ["CropSizes", "Region", "zoom"]

Rounding = Literal["outward", "truncate"]
"""To whole pixels: every pixel that the box touches, or all four corners cut to integers."""
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)

GRID = 28  # patch 14 x merge 2: crops are resized to a multiple of it
MIN_PIXELS = 4 * GRID * GRID
MAX_PIXELS = 16384 * GRID * GRID
MIN_SIDE = 1.0  # pixels of the original picture under which a box is no region
MOST_TIMES = 100
"""How many times its short side a crop may be long.

Qwen's image processors refuse more than 200 to 1, and rounding a short side to their grid can come
near to doubling it.
"""


class CropSizes(NamedTuple):
    """What a crop is resized to before the model sees it."""

    grid: int = GRID
    """Both sides are multiples of it, in pixels."""
    least: int = MIN_PIXELS
    """Pixels of the smallest."""


CROPS = CropSizes()


class Region(NamedTuple):
    """Whole pixels of the original picture; right and bottom are just outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.right - self.left, self.bottom - self.top


def zoom(
    picture: Picture,
    box: Box,
    *,
    box_frame: Units,
    frame: Size | None,
    turn: int,
    rounding: Rounding = "outward",
    sizes: CropSizes = CROPS,
) -> Observation | ToolError:
    """Crop the original picture; `box` is in units of `box_frame`.

    `frame` is the size at which the model saw the picture. An error when nothing of the picture is
    inside the box, or what is inside is too thin to be shown; a note when part of the box is
    outside.
    """
    original = picture.open()
    size = Size(*original.size)
    units = Frame(box_frame, frame or size)
    extent = units.sides or size
    exact = on_original(box, size, extent)
    if exact.right <= exact.left or exact.bottom <= exact.top:
        return ToolError("bad_box", f"bbox_2d is outside the picture: {units.meant} are meant.")
    if exact.right - exact.left < MIN_SIDE or exact.bottom - exact.top < MIN_SIDE:
        return ToolError("bad_box", "bbox_2d is too small: there is less than a pixel inside it.")
    region = whole_pixels(exact, rounding)
    long, short = max(region.size), min(region.size)
    if long > MOST_TIMES * short:
        return ToolError(
            "bad_box",
            f"bbox_2d is too thin: one side of what is inside it is {long / short:.0f} times the "
            f"other, and {MOST_TIMES} times is the most that can be shown. Give a wider box.",
        )
    crop = original.crop(region)
    crop = crop.resize(crop_size(crop.size, sizes), Image.Resampling.BICUBIC)
    notes = () if inside(box, extent) else (f"box {list(box)} was cut to the picture",)
    return Observation((Picture(f"crop {turn + 1} {tuple(region)}", lambda: crop),), notes)


def on_original(box: Box, size: Size, extent: Size) -> Box:
    """The box in pixels of the original picture of `size`, cut to it.

    `extent` is the whole picture's width and height in the box's units.
    """
    across, down = size.width / extent.width, size.height / extent.height
    left, right = (min(max(x * across, 0.0), float(size.width)) for x in (box.left, box.right))
    top, bottom = (min(max(y * down, 0.0), float(size.height)) for y in (box.top, box.bottom))
    return Box(left, top, right, bottom)


def inside(box: Box, extent: Size) -> bool:
    """Whether the box lies within the picture."""
    in_width = box.left >= 0 and box.right <= extent.width
    return in_width and box.top >= 0 and box.bottom <= extent.height


def whole_pixels(box: Box, rounding: Rounding) -> Region:
    """The box in whole pixels, at least one each way."""
    if rounding == "outward":
        return Region(
            math.floor(box.left), math.floor(box.top), math.ceil(box.right), math.ceil(box.bottom)
        )
    left, top, right, bottom = (int(side) for side in box)
    return Region(left, top, max(right, left + 1), max(bottom, top + 1))


def crop_size(size: tuple[int, int], sizes: CropSizes = CROPS) -> tuple[int, int]:
    """The nearest multiples of the grid within the limits, keeping the shape as far as possible.

    Neither side is more than `MOST_TIMES` times the other.
    """
    grid, least = sizes
    width, height = (max(grid, round(v / grid) * grid) for v in size)
    if width * height > MAX_PIXELS:
        scale = math.sqrt(size[0] * size[1] / MAX_PIXELS)
        width, height = (max(grid, math.floor(v / scale / grid) * grid) for v in size)
    elif width * height < least:
        scale = math.sqrt(least / (size[0] * size[1]))
        width, height = (math.ceil(v * scale / grid) * grid for v in size)
    return min(width, MOST_TIMES * height), min(height, MOST_TIMES * width)
