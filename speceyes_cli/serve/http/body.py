"""A request's body, read within limits of bytes and time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

from starlette.types import Receive

from speceyes_cli.serve.http.errors import ApiError

SECONDS = 30.0
DISCARD_SECONDS = 2.0


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
        """All of it; raises `ApiError` when it is too long or too slow.

        `take` is told of every byte, and may raise.
        """
        too_long = ApiError(413, f"The body has more than {most:,} bytes.", code="body_too_large")
        announced = headers.get("content-length", "0")
        if announced.isascii() and announced.isdigit() and int(announced) > most:
            raise too_long
        data = bytearray()
        try:
            async with asyncio.timeout(SECONDS):
                while not self._complete:
                    chunk = await self._next()
                    take(len(chunk))
                    data += chunk
                    if len(data) > most:
                        raise too_long
        except TimeoutError:
            raise ApiError(408, f"The body took over {SECONDS:g} seconds.") from None
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
