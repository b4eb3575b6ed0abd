"""A request's picture, decoded within the operator's limits before anything else is done."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable

from PIL import Image

from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.pictures.fetching import FetchError, TooLongError, fetch
from speceyes_cli.core.pictures.loading import decode_base64, decode_picture
from speceyes_cli.serve.service import ServeLimits

NAME = "picture"
FETCH_SECONDS = 10.0
"""From connecting to the last byte."""


def is_fetched(url: str) -> bool:
    """Whether the picture must be fetched from another machine."""
    return url.partition(":")[0].lower() in ("http", "https")


def fetch_picture(url: str, limits: ServeLimits, allows: Callable[[str], bool]) -> bytes:
    """The encoded picture behind an http(s) address whose host is allowed; `PictureError`."""
    if not limits.fetch:
        raise PictureError("pictures are not fetched here: send the picture as a data URL")
    try:
        return fetch(url, FETCH_SECONDS, limits.picture_bytes, allows)
    except TooLongError:
        raise _too_long(limits) from None
    except FetchError as error:
        raise PictureError(f"the picture's address {error}") from None


def read_picture(url: str, limits: ServeLimits) -> bytes:
    """The encoded picture that a data URL holds; raises `PictureError`.

    Files of this machine are never read.
    """
    if url[:5].lower() != "data:":
        raise PictureError("the picture must be a data URL (data:image/png;base64,...)")
    if len(url) > limits.picture_bytes * 4 // 3 + 200:
        raise _too_long(limits)
    data = decode_base64(url, NAME)
    if len(data) > limits.picture_bytes:
        raise _too_long(limits)
    return data


def check_pixels(data: bytes, most: int) -> None:
    """Check the size in the header: a small file can decode to more than the memory holds."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        raise PictureError(f"the picture has more than {most:,} pixels") from None
    except Exception:  # noqa: BLE001 - `decode` says what is wrong with it
        return
    if width * height > most:
        raise PictureError(f"the picture has {width}x{height} pixels; {most:,} at most")


def data_url(data: bytes) -> str:
    """An encoded picture as a data URL; raises `PictureError` for what is none."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            kind = Image.MIME[str(image.format)]
    except Exception:  # noqa: BLE001 - decoders raise what they like on damaged files
        raise PictureError(f"{NAME}: {len(data)} bytes that are no picture") from None
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def decode(data: bytes) -> Image.Image:
    """The picture in RGB; raises `PictureError`."""
    return decode_picture(data, NAME)


def _too_long(limits: ServeLimits) -> PictureError:
    return PictureError(f"the picture has more than {limits.picture_bytes:,} bytes")
