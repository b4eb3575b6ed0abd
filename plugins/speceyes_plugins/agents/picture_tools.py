"""Tools beside the zoom: a picture turned, or shown larger."""

from __future__ import annotations

import math

from PIL import Image

from speceyes_cli.plugin import Observation, Picture, ToolError
from speceyes_plugins.agents.zoom import MAX_PIXELS

__all__ = ["enlarge", "rotate"]

CIRCLE = 360.0
QUARTERS = {
    90.0: Image.Transpose.ROTATE_270,
    180.0: Image.Transpose.ROTATE_180,
    270.0: Image.Transpose.ROTATE_90,
}
"""Turns to the right that move pixels and blend none; Pillow's own are to the left."""


def rotate(picture: Picture, *, angle: float, turn: int) -> Observation | ToolError:
    """The picture turned clockwise by an angle in degrees, on a canvas that holds all of it.

    A canvas of more than `MAX_PIXELS` has no more pixels than the picture, which is made smaller:
    turned time and again, it does not grow.
    """
    if not math.isfinite(angle):
        return ToolError("bad_argument", "angle must be a finite number of degrees.")
    turned = angle % CIRCLE
    image = picture.open()
    if turned in QUARTERS:
        image = image.transpose(QUARTERS[turned])
    elif turned:
        image = _fitting(image, turned).rotate(-turned, Image.Resampling.BICUBIC, expand=True)
    return Observation((Picture(f"turned {turn + 1} {turned:g}°", lambda: image),))


def _fitting(image: Image.Image, angle: float) -> Image.Image:
    """The picture, made smaller where its canvas at this angle would be too large."""
    width, height = image.size
    across, down = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    canvas = (width * across + height * down) * (width * down + height * across)
    most = max(MAX_PIXELS, width * height)
    if canvas <= most:
        return image
    scale = math.sqrt(most / canvas)
    size = (max(1, math.floor(width * scale)), max(1, math.floor(height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)


def enlarge(picture: Picture, *, factor: float, turn: int) -> Observation | ToolError:
    """The picture `factor` times as wide and as high, at most `MAX_PIXELS` in all."""
    if not (math.isfinite(factor) and factor > 1):
        return ToolError("bad_argument", "factor must be a number above 1.")
    image = picture.open()
    most = math.sqrt(MAX_PIXELS / (image.width * image.height))
    if most <= 1:
        return ToolError("bad_argument", "The picture is as large as it can be shown.")
    scale = min(factor, most)
    size = (math.floor(image.width * scale), math.floor(image.height * scale))
    larger = image.resize(size, Image.Resampling.BICUBIC)
    notes = () if scale == factor else (f"factor {factor:g} was cut to {scale:.2f}",)
    return Observation((Picture(f"enlarged {turn + 1} {scale:.2f}x", lambda: larger),), notes)
