"""Streams of server-sent events, whose work ends with them, whoever ends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Protocol

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from speceyes_cli.serve.http.answers import event
from speceyes_cli.serve.http.errors import ApiError, error_body, own_fault
from speceyes_cli.serve.live import Event, Live, Step
from speceyes_cli.serve.queue import AnsweredRequest

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
"""How often a stream without an answer says that it lives; proxies give up after a minute."""
HEARTBEAT = ": at work\n\n"
AT_ONCE = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""What keeps a proxy from collecting a stream before it hands it on, as nginx does untold."""


class EventStream(StreamingResponse):
    """Server-sent events, each to be handed on as it comes."""

    def __init__(self, content: AsyncIterator[str], headers: Mapping[str, str]) -> None:
        super().__init__(content, media_type="text/event-stream", headers={**headers, **AT_ONCE})


class LateStream(EventStream):
    """Events of an answer that is not there yet; its work ends with it."""

    def __init__(
        self,
        work: asyncio.Future[Any],
        content: AsyncIterator[str],
        headers: Mapping[str, str],
        on_left: Callable[[], None],
    ) -> None:
        """`on_left` is called when the client leaves before the work is done."""
        super().__init__(content, headers)
        self._work = work
        self._on_left = on_left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
            if not self._work.done():
                self._on_left()
        finally:
            self._work.cancel()


class Form(Protocol):
    """How answers of an interface are written; `answers.ReplyForm` says what each is."""

    def whole(self, answered: AnsweredRequest) -> dict[str, Any]:
        """The answer as JSON."""

    def opening(self) -> str:
        """The beginning of a stream whose answer is not there yet."""

    def event(self, told: Event) -> str:
        """What happened, as events of the stream."""

    def events(self, answered: AnsweredRequest, said: str | None = None) -> Iterator[str]:
        """The answer, of which `said` has been sent, and the stream's end."""


async def ready(form: Form, answered: AnsweredRequest) -> AsyncIterator[str]:
    """The events of an answer that is there."""
    for text in form.events(answered):
        yield text


async def late(form: Form, work: asyncio.Future[AnsweredRequest], live: Live) -> AsyncIterator[str]:
    """What the question's policy does while it does it, comments in between, then the answer."""
    opened = False
    while True:
        ended = work.done()  # before what is taken: while it is sent more may come
        for told in live.take():
            if not opened:
                yield form.opening()
                opened = True
            yield form.event(await _whole(told))
        if ended:
            break
        if not await first_of(work, live.changed(), HEARTBEAT_SECONDS):
            yield HEARTBEAT
    try:
        answered = work.result()
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the client is told
        yield failure(error)
        return
    for text in form.events(answered, live.said if opened else None):
        yield text


def failure(error: Exception) -> str:
    """The event that ends a stream without its answer; a defect of ours is logged."""
    if not isinstance(error, ApiError):
        log.error("a stream has no answer", exc_info=error)
        error = own_fault()
    return event(error_body(error))


async def _whole(told: Event) -> Event:
    """The event with all its facts; those that take time are made on a thread."""
    if not isinstance(told, Step) or told.more is None:
        return told
    return Step({**told.facts, **await asyncio.to_thread(told.more)})


async def first_of(work: asyncio.Future[Any], other: Awaitable[None], most: float) -> bool:
    """Wait for the work or the other; whether either came within `most` seconds."""
    waiting: asyncio.Future[Any] = asyncio.ensure_future(other)
    try:
        done, _ = await asyncio.wait(
            {work, waiting}, timeout=most, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        waiting.cancel()
    return bool(done)
