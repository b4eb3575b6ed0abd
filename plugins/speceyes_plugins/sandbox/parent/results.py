"""Result pictures: opened carefully here, decoded by a second, fresh worker."""

from __future__ import annotations

import time
from dataclasses import replace

from PIL import Image

from speceyes_cli.plugin import Closeable
from speceyes_plugins.sandbox import folders, wire
from speceyes_plugins.sandbox.parent.process import Worker, Zygote
from speceyes_plugins.sandbox.values import DATA, Failure, Kind, SandboxLimits

CHANNELS = 3


class ResultError(Exception):
    """A printed path that leads to no usable picture."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.failure = Failure(kind, text)


class Pictures(Closeable):
    """Reads the result pictures of one block; the decoder starts with the first of them."""

    def __init__(self, zygote: Zygote, folder: str, limits: SandboxLimits) -> None:
        self._zygote = zygote
        self._folder = folder
        self._limits = limits
        self._deadline = time.monotonic() + limits.seconds
        self._pixels_left = limits.pixels
        self._decoder: Worker | None = None

    def read(self, path: str) -> Image.Image:
        """The picture at a path relative to the session's folder, as RGB.

        Raises:
            ResultError: typed, with a text for the model.
        """
        name = wire.printable(f"{DATA}/{path}")[:300]
        try:
            data = folders.read_fresh_file(self._folder, path, self._limits.file_bytes)
        except FileNotFoundError as error:
            raise ResultError("missing_file", f"{name} does not exist") from error
        except (OSError, ValueError) as error:
            raise ResultError("not_a_file", f"{name} is not a plain file") from error
        try:
            return self._decoded(data, name)
        except wire.WireError as error:
            self.close()
            raise ResultError("not_a_picture", f"{name} could not be decoded") from error

    def close(self) -> None:
        """End the decoder; a second call does nothing."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None

    def _decoded(self, data: bytes, name: str) -> Image.Image:
        if self._decoder is None:
            limits = replace(self._limits, memory=self._limits.decoder_memory)
            self._decoder = self._zygote.spawn(None, limits)
        channel = self._decoder.channel
        channel.send(data, self._deadline)
        header = wire.decode(channel.receive(wire.REPLY_BYTES, self._deadline))
        kind = wire.text_field(header, "kind", 40)
        width = wire.int_field(header, "width", 1 << 31)
        height = wire.int_field(header, "height", 1 << 31)
        if kind == "picture_too_large" or width * height > self._pixels_left:
            most = self._limits.pixels // 1_000_000
            self.close()
            raise ResultError(
                "picture_too_large", f"{name} is too large; a block's pictures may have {most} MP"
            )
        if kind:
            raise ResultError("not_a_picture", f"{name} is not a picture")
        rows = channel.receive(width * height * CHANNELS, self._deadline)
        if len(rows) != width * height * CHANNELS:
            raise wire.WireError("the rows do not fill the picture")
        self._pixels_left -= width * height
        self._check_shape(width, height, name)
        return Image.frombytes("RGB", (width, height), rows)

    def _check_shape(self, width: int, height: int, name: str) -> None:
        short, long = sorted((width, height))
        smallest, ratio = self._limits.smallest_side, self._limits.widest_ratio
        if short < smallest:
            text = f"{name} is {width} x {height}; sides need at least {smallest} pixels"
            raise ResultError("picture_too_small", text)
        if long >= ratio * short:
            text = f"{name} is {width} x {height}; sides may differ by less than {ratio} times"
            raise ResultError("picture_too_small", text)
