"""A server on the loopback address that does not mean well: every mode goes on until it is left."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from speceyes_example.judge_server import loopback

PAUSE = 0.02
"""Seconds between two drops: each arrives long before any time limit of one read."""
BLOCK = b" " * 2**20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

Sends = Callable[["HostileServer", bytes], AsyncIterator[bytes]]


async def silent(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """Nothing at all."""
    await asyncio.sleep(3600)
    yield b""


async def drip_head(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """A header a letter at a time."""
    yield HEAD
    for number in range(10**6):
        yield f"X-{number}: ".encode()[number % 2 :][:1]
        await asyncio.sleep(PAUSE)


async def endless_100(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """The client may go on, again and again."""
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n"
        await asyncio.sleep(PAUSE)


async def drip_body(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """A long answer a byte at a time."""
    yield HEAD + b"Content-Length: 100000\r\n\r\n"
    while True:
        yield b" "
        await asyncio.sleep(PAUSE)


async def drip_sizes(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """The size of a chunk a digit at a time."""
    yield CHUNKED
    while True:
        yield b"0"
        await asyncio.sleep(PAUSE)


async def huge(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """300 MiB that were announced."""
    yield HEAD + b"Content-Length: 314572800\r\n\r\n"
    while True:
        yield BLOCK


async def endless(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """Chunks without end."""
    yield CHUNKED
    while True:
        yield b"%x\r\n" % len(BLOCK) + BLOCK + b"\r\n"


@functools.cache
def packed() -> bytes:
    """300 MiB of blanks."""
    return gzip.compress(BLOCK * 300, compresslevel=1)


async def bomb(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """A small answer that unpacks to 300 MiB."""
    body = packed()
    yield HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def huge_redirect(server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """It has moved to where it is, with 300 MiB to say so."""
    place = f"http://127.0.0.1:{server.port}/v1/models"
    yield b"HTTP/1.1 307 Moved\r\nContent-Length: 314572800\r\n"
    yield f"Location: {place}\r\n\r\n".encode()
    while True:
        yield BLOCK


async def cut(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """Half of what was announced, and the end."""
    yield HEAD + b'Content-Length: 1000\r\n\r\n{"data": ['


async def garbage(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
    """No HTTP."""
    yield b"\x00\xff\x16\x03\x01 hello\r\n\r\n"


async def echo(_server: HostileServer, head: bytes) -> AsyncIterator[bytes]:
    """An error that repeats the request's key, a letter at a time where it can."""
    told = re.search(rb"(?i)authorization: *(.*)\r\n", head)
    key = told.group(1).decode() if told else ""
    odd = key.replace("secret", "se\x00cr\x1b[0met")
    message = f"{key} {odd} {key.upper()}"
    yield answer(json.dumps({"error": {"message": message}}).encode(), "401 No")


def says(body: bytes, status: str = "200 OK") -> Sends:
    """A mode that answers everything with one body."""

    async def say(_server: HostileServer, _head: bytes) -> AsyncIterator[bytes]:
        yield answer(body, status)

    return say


def answer(body: bytes, status: str = "200 OK") -> bytes:
    """A whole response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nretry-after-ms: 5\r\n"
    return f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


SLOW: tuple[Sends, ...] = (silent, drip_head, endless_100, drip_body, drip_sizes)
LONG: tuple[Sends, ...] = (huge, endless, bomb, huge_redirect)
BROKEN: tuple[Sends, ...] = (cut, garbage)


@dataclass
class HostileServer:
    """Answers every request in one mode, or in the one that a path's beginning has."""

    mode: Sends
    paths: dict[str, Sends] = field(default_factory=dict)
    speaks_first: bool = False
    """It sends without having read anything."""
    sent: int = 0
    """Bytes handed to the system in all."""
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)
    """Of requests, as they came."""
    port: int = 0

    @property
    def url(self) -> str:
        """The address of an OpenAI-compatible server."""
        return f"http://127.0.0.1:{self.port}/v1"

    @contextlib.contextmanager
    def running(self) -> Iterator[HostileServer]:
        """Serve on a free port until the block ends."""
        with loopback(self._serve) as self.port:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = b"GET / \r\n\r\n"
                if not self.speaks_first:
                    head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                await reader.readexactly(int(length.group(1)) if length else 0)
                path = head.split(b" ")[1].decode()
                modes = [mode for start, mode in self.paths.items() if path.startswith(start)]
                async for data in (modes or [self.mode])[0](self, head):
                    writer.write(data)
                    await writer.drain()
                    self.sent += len(data)
                if modes:
                    continue
                writer.close()  # what was sent still arrives, as it need not after an abort
                await writer.wait_closed()
                return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()
