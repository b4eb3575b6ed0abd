"""Where on a picture a tool looked, from the arguments of its call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

WHOLE = {"relative": 1000.0, "fractions": 1.0}
"""What boxes that are not in pixels call the whole width, and the whole height."""
SIDES = 4


class Fractions(NamedTuple):
    """A box as fractions of the picture's width and height, left < right and top < bottom."""

    left: float
    top: float
    right: float
    bottom: float


def box_of(
    arguments: Mapping[str, Any], seen: tuple[int | None, int | None] | None = None
) -> Fractions | None:
    """The box that a tool was called with; None where its call had none, or one without sense.

    `seen` are width and height in pixels at which a model saw the picture: a box in pixels is
    measured against them where its call does not tell.
    """
    box = arguments.get("box", arguments.get("bbox_2d"))
    if isinstance(box, str):
        box = box.split()
    extent = _extent(arguments, seen)
    if extent is None or not isinstance(box, Sequence) or len(box) != SIDES:
        return None
    try:
        shares = [float(side) / whole for side, whole in zip(box, (*extent, *extent), strict=True)]
    except (TypeError, ValueError, OverflowError):
        return None
    if not all(map(math.isfinite, shares)):
        return None
    left, top, right, bottom = (min(1.0, max(0.0, share)) for share in shares)
    return Fractions(left, top, right, bottom) if left < right and top < bottom else None


def _extent(
    arguments: Mapping[str, Any], seen: tuple[int | None, int | None] | None
) -> tuple[float, float] | None:
    """The whole picture's width and height in the box's units."""
    kind = arguments.get("box_frame")
    if isinstance(kind, str) and kind in WHOLE:
        return WHOLE[kind], WHOLE[kind]
    frame = arguments.get("frame")
    if isinstance(frame, Mapping):
        frame = [frame.get("width"), frame.get("height")]
    if frame is None:
        frame = seen
    if not isinstance(frame, Sequence) or isinstance(frame, str):
        return None
    sizes = [side for side in frame if isinstance(side, int | float) and side > 0]
    return (sizes[0], sizes[1]) if len(sizes) == len(frame) == SIDES // 2 else None
