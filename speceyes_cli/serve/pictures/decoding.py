"""A request's picture, decoded within the operator's limits before anything else is done."""

from __future__ import annotations

import io
import warnings

from PIL import Image

from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.pictures.loading import decode_base64, decode_picture
from speceyes_cli.serve.pictures.fetch import fetch_picture
from speceyes_cli.serve.service import ServeLimits

NAME = "picture"


def read_picture(url: str, limits: ServeLimits) -> bytes:
    """The encoded picture that a URL holds or leads to, its size checked but nothing decoded.

    Raises `PictureError`. Files of this machine are never read.
    """
    scheme = url.partition(":")[0].lower()
    if scheme == "data":
        if len(url) > limits.picture_bytes * 4 // 3 + 200:
            raise PictureError(f"the picture has more than {limits.picture_bytes:,} bytes")
        data = decode_base64(url, NAME)
    elif scheme in ("http", "https"):
        if not limits.fetch:
            raise PictureError("pictures are not fetched here: send the picture as a data URL")
        data = fetch_picture(url, limits.picture_bytes)
    else:
        raise PictureError("the picture must be a data URL (data:image/png;base64,...)")
    if len(data) > limits.picture_bytes:
        raise PictureError(f"the picture has more than {limits.picture_bytes:,} bytes")
    _check_pixels(data, limits.picture_pixels)
    return data


def decode(data: bytes) -> Image.Image:
    """The picture in RGB; raises `PictureError`."""
    return decode_picture(data, NAME)


def _check_pixels(data: bytes, most: int) -> None:
    """Look at the head only: a small file can hold a picture that fills the memory."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        raise PictureError(f"the picture has more than {most:,} pixels") from None
    except Exception:  # noqa: BLE001 - `decode` says what is wrong with it
        return
    if width * height > most:
        raise PictureError(f"the picture has {width}x{height} pixels; {most:,} at most")
