"""Boxes that a model got slightly wrong: clamped to the picture, and grown where too small."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image

SMALLEST: Final = 64
"""Pixels a crop's side needs to show a model something; Thyme's own tools use the same bound."""
SIDES: Final = 4
CORNERS: Final = 2


class BoxError(ValueError):
    """A box that no harmless repair can mend."""


class Box(NamedTuple):
    """Left, top, right, bottom in pixels."""

    left: float
    top: float
    right: float
    bottom: float


def fit(box: Box, width: int, height: int, *, grow: bool = True) -> Box:
    """The box inside a picture of that size, each side at least 64 pixels or the picture's.

    Swapped corners are put right.

    Raises:
        BoxError: the box is in fractions, or has no point in common with the picture.
    """
    if min(box) >= 0 and max(box) <= 1 < min(width, height):
        raise BoxError(
            f"the box {_shown(box)} is in fractions; pixels of the picture of {width} x {height} "
            "are needed"
        )
    left, right = sorted((box.left, box.right))
    top, bottom = sorted((box.top, box.bottom))
    box = Box(left, top, right, bottom)
    if box.left >= width or box.top >= height or box.right <= 0 or box.bottom <= 0:
        raise BoxError(f"the box {_shown(box)} lies outside the picture of {width} x {height}")
    left, right = _fit_side(box.left, box.right, width, grow=grow)
    top, bottom = _fit_side(box.top, box.bottom, height, grow=grow)
    return Box(left, top, right, bottom)


def _fit_side(start: float, stop: float, length: int, *, grow: bool) -> tuple[float, float]:
    start, stop = max(start, 0), min(stop, length)
    if not grow or stop - start >= SMALLEST:
        return start, stop
    wanted = min(SMALLEST, length)
    start = int(min(max((start + stop) / 2 - wanted / 2, 0), length - wanted))
    return start, start + wanted


def _shown(box: Box) -> str:
    return "(" + ", ".join(f"{side:g}" for side in box) + ")"


class BoxMender:
    """Stands in for `picture.crop(box)` and for `array[a:b, c:d]` in a rewritten script."""

    def __init__(self, size: Callable[[], tuple[int, int]], note: Callable[[str], None]) -> None:
        self._size = size
        self._note = note

    def crop(self, picture: Image.Image, *arguments: Any, **named: Any) -> Any:
        """`picture.crop(…)`, with the box made to fit."""
        given: Any = arguments[0] if len(arguments) == 1 else arguments or named.get("box")
        box = _numbers(given)
        if box is None:
            return picture.crop(*arguments, **named)
        if given is arguments or len(given) != SIDES:
            self._note("sides of a box put together")
        return picture.crop(self._fitted(box, picture.width, picture.height, grow=True))

    def view(self, array: Any, index: tuple[Any, ...], grow: bool) -> Any:  # noqa: FBT001  (called from generated code)
        """`array[index]`, with the first two slices made to fit where the array is the picture.

        Slices of other arrays, sides counted from the far end, and boxes that cannot be mended
        mean what Python says.
        """
        rows, columns = index[0], index[1]
        box = _numbers((columns.start, rows.start, columns.stop, rows.stop))
        if box is None or not isinstance(array, np.ndarray):
            return array[index]
        width, height = self._size()
        if (
            array.shape[:2] != (height, width)
            or _from_far(rows, height)
            or _from_far(columns, width)
        ):
            return array[index]
        try:
            fitted = self._fitted(box, width, height, grow=grow)
        except BoxError:
            if _has_fractions(rows, columns):
                raise
            return array[index]
        left, top, right, bottom = (int(side) for side in fitted)
        if _has_fractions(rows, columns):
            self._note("sides of a slice as whole numbers")
        return array[(slice(top, bottom), slice(left, right), *index[2:])]

    def _fitted(self, box: Box, width: int, height: int, *, grow: bool) -> Box:
        fitted = fit(box, width, height, grow=grow)
        if fitted != box:
            self._note(f"box {_shown(box)} -> {_shown(fitted)}")
        return fitted


def _from_far(part: slice, length: int) -> bool:
    """Whether a slice counts from the far end, and on purpose: something is left of it."""
    return part.stop < 0 or (part.start < 0 and len(range(*part.indices(length))) > 0)


def _has_fractions(*parts: slice) -> bool:
    return any(isinstance(side, float) for part in parts for side in (part.start, part.stop))


def _numbers(box: Any) -> Box | None:
    """Four numbers, or two corners of two numbers each."""
    try:
        sides = tuple(box)
        if len(sides) == CORNERS:
            sides = (*sides[0], *sides[1])
    except TypeError:
        return None
    if len(sides) != SIDES or not all(isinstance(side, Real) for side in sides):
        return None
    left, top, right, bottom = (float(side) for side in sides)
    if not all(map(math.isfinite, (left, top, right, bottom))):
        return None
    return Box(left, top, right, bottom)
