"""One loader for every form a picture comes in: files, addresses, base64, bytes, PIL images."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import stat
import urllib.parse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.digests import digest_bytes, digest_file
from speceyes_cli.core.errors import PictureError
from speceyes_cli.core.pictures.fetching import FetchError, fetch
from speceyes_cli.core.pictures.flatten import to_rgb
from speceyes_cli.core.pictures.memory_budget import MemoryBudget
from speceyes_cli.core.secrets import hide_userinfo

PictureSource = Image.Image | bytes | str | os.PathLike[str] | Mapping[str, Any]
"""A PIL image; an encoded file's bytes; a path, `file://`, http(s) or data URL, or base64 text;
a parquet struct {"bytes", "path"}; or an object with one of these under "url", "image" or
"image_url"."""

MAX_PIXELS = 89_478_485
"""Pictures of more pixels are refused, Pillow's own mark; 8K video is 33 million (7680x4320)."""
MAX_BYTES = 100 * 2**20
"""Encoded pictures of more bytes are refused; an 8K benchmark picture has about 6 million."""
DECODING_BYTES = 2**30
"""Memory that decoding takes at once: four pictures of 8K, or any one within `MAX_PIXELS`."""
FETCH_SECONDS = 30.0
"""Time a picture may take to arrive over http(s), from connecting to the last byte."""

LFS_POINTER = "only Git LFS's pointer is here, not the file; git lfs pull fetches it"
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Raster formats only: Pillow would hand PostScript to an external program."""
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{32,}+={0,2}\s*")
_DECODING = MemoryBudget(DECODING_BYTES)  # the process's own, as its memory is
_LONGEST_PATH = 4096


def picture_from(source: PictureSource, name: str, folder: Path | None = None) -> Picture:
    """A picture that is read and decoded when it is opened; see `load_picture`."""
    return Picture(
        name, partial(load_picture, source, name, folder), partial(digest_picture, source, folder)
    )


def digest_picture(source: PictureSource, folder: Path | None = None) -> str | None:
    """The digest of the encoded picture, read at most once for each state of its file.

    None for what is not encoded or lies behind an address, and for what cannot be read.
    """
    try:
        while isinstance(source, Mapping):
            source = _held_by(source, "picture")
        if isinstance(source, Image.Image) or is_address(source):
            return None
        path = local_path(source, folder)
        if path is None:
            return digest_bytes(_read(source, "picture", folder))
        fits = path.is_file() and path.stat().st_size <= MAX_BYTES
        return digest_file(path) if fits else None
    except (PictureError, OSError, ValueError):
        return None


def load_picture(source: PictureSource, name: str, folder: Path | None = None) -> Image.Image:
    """The picture as RGB, upright, transparent parts white.

    Relative paths start at `folder`. Raises `PictureError`, with `name` in its sentence, for a
    picture that is missing, truncated, not a picture, or beyond `MAX_PIXELS` or `MAX_BYTES`.
    """
    while isinstance(source, Mapping):
        source = _held_by(source, name)
    if isinstance(source, Image.Image):
        return _finish(source, name, keep=True)
    return decode_picture(_read(source, name, folder), name)


def decode_picture(data: bytes, name: str) -> Image.Image:
    """The RGB picture in an encoded file's bytes."""
    if not data:
        raise PictureError(f"{name}: the picture is empty.")
    if is_lfs_pointer(data):
        raise PictureError(f"{name}: {LFS_POINTER}.")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise PictureError(f"{name}: {len(data)} bytes that are no picture.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"{name}: the picture has more than {MAX_PIXELS:,} pixels.") from None
    except Exception as error:  # noqa: BLE001 - decoders raise what they like on damaged files
        raise _damaged(error, name) from None
    with image:
        return _finish(image, name)


def is_lfs_pointer(data: bytes) -> bool:
    """Whether these bytes begin what Git LFS leaves in the place of a file it keeps elsewhere."""
    return data.startswith(b"version https://git-lfs.github.com/spec/")


def decode_base64(text: str | bytes, name: str) -> bytes:
    """The bytes in base64 text, with or without a data-URL head and line breaks."""
    data = text.encode("ascii", "replace") if isinstance(text, str) else text
    if data[:5].lower() == b"data:":
        head, comma, data = data.partition(b",")
        if not comma or not head.rstrip().lower().endswith(b";base64"):
            raise PictureError(f"{name}: the data URL holds no base64.")
    data = b"".join(data.split())
    if len(data) * 3 > MAX_BYTES * 4:
        raise PictureError(f"{name}: the picture has more than {MAX_BYTES:,} bytes.")
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except binascii.Error:
        raise PictureError(f"{name}: the picture is not valid base64.") from None


def load_chat_pictures(
    messages: Sequence[Mapping[str, Any]], folder: Path | None = None
) -> list[dict[str, Any]]:
    """Chat messages with every picture opened, for `qwen_vl_utils.process_vision_info` as it is.

    A part may hold its picture under "image" or "image_url", in any form `load_picture` takes;
    it becomes {"type": "image", "image": PIL image}, its other keys kept. Relative paths start at
    `folder`. Raises `PictureError`.
    """
    return [
        {**message, "content": [_open_part(part, folder) for part in message["content"]]}
        if isinstance(message["content"], Sequence) and not isinstance(message["content"], str)
        else dict(message)
        for message in messages
    ]


def _open_part(part: Any, folder: Path | None) -> Any:
    if not isinstance(part, Mapping):
        return part
    key = next((key for key in ("image", "image_url") if key in part), None)
    if key is None:
        return dict(part)
    kept = {name: value for name, value in part.items() if name not in ("type", key)}
    return {
        "type": "image",
        "image": load_picture(part[key], f"the message's {key}", folder),
        **kept,
    }


def _held_by(holder: Mapping[str, Any], name: str) -> Any:
    """What an object holds as its picture."""
    for key in ("bytes", "url", "image", "image_url", "path"):
        if holder.get(key):
            return holder[key]
    raise PictureError(f"{name}: there is no picture.")


def _read(source: PictureSource, name: str, folder: Path | None) -> bytes:
    """The encoded picture."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if not isinstance(source, str | os.PathLike):
        raise PictureError(f"{name}: a picture cannot come as {type(source).__name__}.")
    path = local_path(source, folder)
    if path is not None:
        return _read_file(path, name)
    return _fetch(str(source), name) if is_address(source) else decode_base64(str(source), name)


def is_address(source: object) -> bool:
    """Whether it is an http(s) address."""
    return isinstance(source, str) and source[:8].lower().startswith(("http://", "https://"))


def local_path(source: object, folder: Path | None) -> Path | None:
    """The path that the source names, from `folder` on; None for addresses, base64 and bytes."""
    if isinstance(source, os.PathLike):
        return Path(folder or "", source)
    if not isinstance(source, str) or is_address(source) or source[:5].lower() == "data:":
        return None
    if source[:7].lower() == "file://":
        return Path(folder or "", _path_of_url(source))
    path = Path(folder or "", source)
    if len(source) > _LONGEST_PATH or (_BASE64.fullmatch(source) and not _exists(path)):
        return None
    return path


def _read_file(path: Path, name: str) -> bytes:
    own = name == str(path)  # then the sentence has it once
    shown = "it" if own else path
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PictureError(f"{name}: {shown} is no file but {_kind_of(path)}.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        told = "there is no such file" if own else f"there is no picture {path}"
        raise PictureError(f"{name}: {told}.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PictureError(f"{name}: {shown} cannot be read ({reason}).") from None
    if len(data) > MAX_BYTES:
        raise PictureError(f"{name}: {shown} has more than {MAX_BYTES:,} bytes.")
    return data


def _kind_of(path: Path) -> str:
    """What a path names that is no file; opening some of these would never come back."""
    kinds = {
        "a folder": path.is_dir,
        "a pipe": path.is_fifo,
        "a socket": path.is_socket,
    }
    return next((kind for kind, holds in kinds.items() if holds()), "a device")


def _path_of_url(url: str) -> Path:
    """The path of a file URL; one written without escapes is taken as it stands."""
    text = re.sub(r"(?i)^file://(localhost(?=/))?", "", url)
    return Path(text) if _exists(Path(text)) else Path(urllib.parse.unquote(text))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def _fetch(url: str, name: str) -> bytes:
    """The body of an http(s) address, within `FETCH_SECONDS` and `MAX_BYTES`."""
    try:
        return fetch(url, FETCH_SECONDS, MAX_BYTES)
    except FetchError as error:
        shown = hide_userinfo(url.partition("?")[0])[:200]
        raise PictureError(f"{name}: {shown} {error}.") from None


def _finish(image: Image.Image, name: str, *, keep: bool = False) -> Image.Image:
    """Decode, turn upright, and flatten to RGB; a picture not to `keep` is used up.

    Decoding takes at most twice the memory of the decoded picture, 4 bytes a pixel, and waits where
    all pictures that are being decoded would take more than `DECODING_BYTES`.
    """
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{name}: the picture has {width}x{height} pixels; the limit is {MAX_PIXELS:,}."
        )
    with _DECODING.reserve(2 * 4 * width * height):
        try:
            image.load()
            if keep:
                image = ImageOps.exif_transpose(image)
            else:
                ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)
        except Exception as error:  # noqa: BLE001 - decoders raise what they like on damaged files
            raise _damaged(error, name) from None


def _damaged(error: Exception, name: str) -> PictureError:
    said = " ".join(str(error).split())
    truncated = "truncated" in said.lower() or isinstance(error, EOFError)
    return PictureError(
        f"{name}: the picture is {'truncated' if truncated else 'damaged'} ({said})."
    )
