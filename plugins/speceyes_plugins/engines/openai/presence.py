"""Whether a server is still there while its answers are awaited.

A server that is told to stop may leave the connections of the requests under way open, and never
answer them (vLLM does): only a fresh connection tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

UNANSWERED = 8
"""Requests in a row, each tried again until its tries were used up, that may go unanswered…"""
SILENT_SECONDS = 60.0
"""…for this long before the endpoint is taken for gone."""


class ServerGoneError(Exception):
    """Nobody takes connections at the server's address any more."""


class PresenceWatch:
    """Ends the calls that wait for a server once it takes no fresh connection any more.

    For one event loop.
    """

    def __init__(self, is_there: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """`is_there` opens a connection; gone is what has not been there for `seconds`."""
        self._is_there = is_there
        self._seconds = seconds
        self._calls: set[asyncio.Future[Any]] = set()
        self._ended: set[asyncio.Future[Any]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def during(self, call: Coroutine[Any, Any, Result]) -> Result:
        """What the call gives; raises `ServerGoneError`."""
        task = asyncio.ensure_future(call)
        self._calls.add(task)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            return await task
        except asyncio.CancelledError:
            if task in self._ended:
                raise ServerGoneError from None
            raise
        finally:
            self._calls.discard(task)
            self._ended.discard(task)
            if not self._calls and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        seen = time.monotonic()
        while True:
            await asyncio.sleep(self._seconds / 4)
            if await self._is_there():
                seen = time.monotonic()
            elif time.monotonic() - seen >= self._seconds:
                self._ended |= self._calls
                for task in self._calls:
                    task.cancel()
                seen = time.monotonic()


class Unanswered:
    """Requests in a row that were given up; for many threads."""

    def __init__(self) -> None:
        self._count = 0
        self._since = 0.0
        self._lock = threading.Lock()

    def answered(self) -> None:
        """One more request was answered."""
        with self._lock:
            self._count = 0

    def given_up(self) -> bool:
        """One more request was given up; whether the endpoint must be taken for gone."""
        now = time.monotonic()
        with self._lock:
            if not self._count:
                self._since = now
            self._count += 1
            return self._count >= UNANSWERED and now - self._since >= SILENT_SECONDS


async def opens(make_client: Callable[[], Any]) -> bool:
    """Whether a client of this making can connect; how it is answered does not matter."""
    import httpx2  # noqa: PLC0415 - slow to import
    import openai  # noqa: PLC0415 - slow to import

    client = make_client()
    try:
        await client.models.list()
    except openai.APIConnectionError as error:
        return not isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
    except openai.OpenAIError:
        return True
    finally:
        with contextlib.suppress(openai.OpenAIError, OSError):
            await client.close()
    return True
