"""A request's body, read within limits of bytes and time."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping

from starlette.types import Receive

from speceyes_cli.serve.http.errors import ApiError

SECONDS = 30.0
DISCARD_SECONDS = 2.0
GZIP_WINDOW = 16 + zlib.MAX_WBITS
"""zlib's word for a stream with gzip's head and checksum."""


class ClientLeftError(Exception):
    """The client closed its connection."""


class Uploads:
    """Bodies being read: they hold no place, but their bytes are counted together."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    @contextlib.contextmanager
    def one(self) -> Iterator[Callable[[int], None]]:
        """A function that takes a number of bytes until the block ends, or raises `ApiError`."""
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            if count > self._left:
                raise ApiError(
                    429,
                    "Too much is being sent to this server at once; try again in 1 s.",
                    code="rate_limit_exceeded",
                    headers={"Retry-After": "1"},
                )
            taken += count
            self._left -= count

        try:
            yield take
        finally:
            self._left += taken


class Body:
    """The body still on its way."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._complete = False

    async def read(
        self, headers: Mapping[str, str], most: int, take: Callable[[int], None]
    ) -> bytes:
        """All of it, unpacked; raises `ApiError` when it is too long or too slow.

        `take` is told of every byte, and may raise.
        """
        too_long = ApiError(413, f"The body has more than {most:,} bytes.", code="body_too_large")
        announced = headers.get("content-length", "0")
        if announced.isascii() and announced.isdigit() and int(announced) > most:
            raise too_long
        unpack = _unpacker(headers.get("content-encoding", ""))
        data = bytearray()
        try:
            async with asyncio.timeout(SECONDS):
                while not self._complete:
                    chunk = unpack(await self._next(), most + 1 - len(data))
                    take(len(chunk))
                    data += chunk
                    if len(data) > most:
                        raise too_long
        except TimeoutError:
            raise ApiError(408, f"The body took over {SECONDS:g} seconds.") from None
        except zlib.error as error:
            raise ApiError(
                400, f"The body is not the gzip that it is said to be: {error}."
            ) from None
        return bytes(data)

    async def discard(self) -> None:
        """Let the rest go by for a while: a client that is still sending would miss the answer."""
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self._complete:
                    await self._next()
        except (TimeoutError, ClientLeftError):
            return

    async def gone(self) -> None:
        """After the body: returns when the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        self._complete = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """What makes the body's bytes of those that are sent, at most so many; raises `ApiError`."""
    match encoding.strip().lower():
        case "" | "identity":
            return lambda chunk, _most: chunk
        case "gzip" | "x-gzip":
            return zlib.decompressobj(GZIP_WINDOW).decompress
    raise ApiError(
        415,
        f"A body is sent plain or as gzip, not as {encoding[:40]!r}.",
        code="unsupported_encoding",
        headers={"Accept-Encoding": "gzip, identity"},
    )
