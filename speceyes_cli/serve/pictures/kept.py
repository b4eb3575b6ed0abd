"""Pictures that come again: every turn of a conversation sends the earlier ones anew."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import partial

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.pictures.decoded_cache import DecodedPictures
from speceyes_cli.serve.pictures.decoding import NAME, decode

ENCODED_BYTES = 2**26
DECODED_BYTES = 2**28
"""256 MiB: two pictures of 8K (7680x4320), or 65 of one megapixel."""


class KeptPictures:
    """The latest pictures, each one and the same `Picture` whenever its bytes come again.

    So an engine that keeps what it saw of a picture for as long as there is one sees it once. For
    one thread, the event loop's.
    """

    def __init__(self, encoded: int = ENCODED_BYTES, decoded: int = DECODED_BYTES) -> None:
        """Most bytes of the encoded pictures, and of the decoded ones."""
        self._most = encoded
        self._decoded = DecodedPictures(decoded)
        self._known: OrderedDict[bytes, tuple[Picture, int]] = OrderedDict()
        self._held = 0

    def picture(self, data: bytes) -> Picture:
        """The picture of an encoded file, which is decoded when it is opened."""
        key = hashlib.sha256(data).digest()
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key][0]
        plain = Picture(NAME, partial(decode, data))
        picture = self._decoded.remember(key.hex(), plain)
        self._known[key] = (picture, len(data))
        self._held += len(data)
        while self._held > self._most and len(self._known) > 1:
            _, (_, size) = self._known.popitem(last=False)
            self._held -= size
        return picture
