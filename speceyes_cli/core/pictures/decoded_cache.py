"""Decoded pictures kept for a while, since screen, draft, agent and tools open the same one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from PIL import Image

from speceyes_cli.core.chat import Picture

KEPT_BYTES = 2**29
"""512 MiB: four pictures of 8K (7680x4320), or 130 of one megapixel."""


class DecodedPictures:
    """The latest opened pictures, up to `limit` bytes of pixels. Safe to share between threads."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, Image.Image] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def remember(self, key: str, picture: Picture) -> Picture:
        """The picture, decoded once while it is kept. Nobody may change what `open` returns."""
        return Picture(picture.name, partial(self._open, key, picture.open))

    def forget(self, key: str) -> None:
        """Let go of a picture that nothing asks for any more."""
        with self._lock:
            image = self._kept.pop(key, None)
            if image is not None:
                self._held -= pixel_bytes(image)

    def _open(self, key: str, decode: Callable[[], Image.Image]) -> Image.Image:
        with self._lock:
            image = self._kept.get(key)
            if image is not None:
                self._kept.move_to_end(key)
                return image
        image = decode()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = image
                self._held += pixel_bytes(image)
            while self._held > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self._held -= pixel_bytes(oldest)
        return image


def pixel_bytes(image: Image.Image) -> int:
    """Bytes of the decoded pixels; Pillow gives four to each of several bands."""
    return image.width * image.height * (1 if len(image.getbands()) == 1 else 4)
