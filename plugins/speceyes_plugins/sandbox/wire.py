"""Length-prefixed frames over a socket, with caps and deadlines; JSON, never pickle.

Used on both sides. The worker's side only reads and writes its descriptor: no socket call is
left to it. The program's side takes every byte for hostile.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from collections.abc import Callable
from typing import Any, Final

HEADER: Final = struct.Struct("!I")
REQUEST_BYTES: Final = 256 << 10
REPLY_BYTES: Final = 1 << 20
TICK: Final = 0.1  # seconds between two looks at the folder quota


class WireError(Exception):
    """The other side sent something that the protocol does not know."""


class EndedError(WireError):
    """The other side is gone."""


class LateError(WireError):
    """The deadline passed."""


class Channel:
    """Frames over one descriptor, which it owns.

    Deadlines are values of `time.monotonic()`; None waits for ever, as a worker does.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def send(self, payload: bytes, deadline: float | None = None) -> None:
        """Send one frame.

        Raises:
            WireError: the other side is gone, or takes too long.
        """
        view = memoryview(HEADER.pack(len(payload)) + payload)
        while view:
            self._wait(select.POLLOUT, deadline, None)
            try:
                view = view[os.write(self.descriptor, view[: 1 << 20]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise EndedError("the connection broke while sending") from error

    def receive(
        self, limit: int, deadline: float | None = None, tick: Callable[[], None] | None = None
    ) -> bytes:
        """Receive one frame of at most `limit` bytes, calling `tick` while waiting.

        Raises:
            WireError: the frame is too large or late, or the other side is gone.
        """
        (length,) = HEADER.unpack(self.receive_exactly(HEADER.size, deadline, tick))
        if length > limit:
            raise WireError(f"a frame of {length} bytes, at most {limit} are allowed")
        return bytes(self.receive_exactly(length, deadline, tick))

    def receive_exactly(
        self, length: int, deadline: float | None = None, tick: Callable[[], None] | None = None
    ) -> bytearray:
        """Receive so many bytes; raises as `receive` does."""
        received = bytearray()
        while len(received) < length:
            self._wait(select.POLLIN, deadline, tick)
            try:
                part = os.read(self.descriptor, min(length - len(received), 1 << 20))
            except BlockingIOError:
                continue
            except OSError as error:
                raise EndedError("the connection broke while receiving") from error
            if not part:
                raise EndedError("the other side closed the connection")
            received += part
        return received

    def has_unread(self) -> bool:
        """Whether unexpected bytes are waiting, or the other side has closed."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _wait(self, event: int, deadline: float | None, tick: Callable[[], None] | None) -> None:
        poll = select.poll()
        poll.register(self.descriptor, event)
        if deadline is None:
            poll.poll()
            return
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise LateError("the deadline passed")
            if poll.poll(min(left, TICK) * 1000):
                return
            if tick is not None:
                tick()


def encode(message: dict[str, Any]) -> bytes:
    """A message as bytes; lone surrogates become escapes, so any text can travel."""
    return json.dumps(message).encode("ascii")


def decode(payload: bytes) -> dict[str, Any]:
    """Decode a message from untrusted bytes.

    Raises:
        WireError: not JSON, nested too deep, a number of thousands of digits, or no object.
    """
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise WireError("the message is not JSON") from error
    if not isinstance(message, dict):
        raise WireError("the message is not a JSON object")
    return message


def text_field(message: dict[str, Any], name: str, limit: int) -> str:
    """A required text of at most `limit` characters."""
    value = message.get(name)
    if not isinstance(value, str) or len(value) > limit:
        raise WireError(f"'{name}' is not a text of at most {limit} characters")
    return value


def int_field(message: dict[str, Any], name: str, limit: int) -> int:
    """A required whole number from 0 to `limit`."""
    value = message.get(name)
    if type(value) is not int or not 0 <= value <= limit:
        raise WireError(f"'{name}' is not a whole number from 0 to {limit}")
    return value


def texts_field(message: dict[str, Any], name: str, count: int, limit: int) -> tuple[str, ...]:
    """A required list of at most `count` texts of at most `limit` characters each."""
    value = message.get(name)
    if not isinstance(value, list) or len(value) > count:
        raise WireError(f"'{name}' is not a list of at most {count} texts")
    if not all(isinstance(item, str) and len(item) <= limit for item in value):
        raise WireError(f"'{name}' holds something else than texts of {limit} characters")
    return tuple(value)


def printable(text: str) -> str:
    """Text without control characters (newline and tab stay) and without lone surrogates."""
    text = text.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")
    return "".join(
        c for c in text if c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f" or c in BIDI)
    )


BIDI: Final = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Direction marks reorder what a terminal shows; no model needs them."""
