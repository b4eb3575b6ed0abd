"""Pictures as a browser takes them."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

from PIL import Image

LOSSLESS_SIDE = 700
"""Pixels: a picture of no larger area than this square is sent as it is."""
JPEG_QUALITY = 88


class Encoded(NamedTuple):
    """A picture as a browser takes it."""

    data: bytes
    media_type: str

    @property
    def url(self) -> str:
        """A data URL of it."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


def encode(image: Image.Image, side: int) -> Encoded:
    """The picture, no side longer than so many pixels."""
    shown = image.convert("RGB")
    shown.thumbnail((side, side))
    out = io.BytesIO()
    if shown.width * shown.height <= LOSSLESS_SIDE * LOSSLESS_SIDE:
        shown.save(out, "PNG")
        return Encoded(out.getvalue(), "image/png")
    shown.save(out, "JPEG", quality=JPEG_QUALITY)
    return Encoded(out.getvalue(), "image/jpeg")
