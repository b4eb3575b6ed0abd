"""Connections that end: limits for what a client begins and never finishes.

uvicorn limits how long a connection may be idle between requests, and nothing else: a connection
without a request, half a head, or the rest of a body that nobody reads stays open for good.
"""

from __future__ import annotations

import asyncio
import functools
import resource
from typing import Any, Literal, NamedTuple

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""From connecting, or from a further request's first byte, to the end of its head."""
REST_SECONDS = 2.0
"""For the rest of a body whose answer is already given."""
WRITE_SECONDS = 30.0
"""For a client to take what is ready for it."""
MOST_CONNECTIONS = 4096
MOST_OPEN = 8192
"""Descriptors that are asked for at most."""

State = Literal["head", "idle", "request", "rest"]
_SECONDS: dict[State, float] = {"head": HEAD_SECONDS, "rest": REST_SECONDS}


class OpenFiles(NamedTuple):
    """How the descriptors of the process are shared out."""

    connections: int
    """Connections that may be open at once."""
    kept_back: int
    """For everything else: models' files, endpoints, pictures being fetched."""


def share_open_files() -> OpenFiles:
    """Raise the limit of open files as far as the system lets it and connections need it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MOST_OPEN:
        soft = MOST_OPEN if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = MOST_OPEN if soft == resource.RLIM_INFINITY else soft
    kept_back = max(32, most // 4)
    return OpenFiles(max(1, min(MOST_CONNECTIONS, most - kept_back)), kept_back)


class LimitedProtocol(H11Protocol):
    """One connection, closed when its client takes too long or its place is needed.

    A connection without a whole request holds no place: the one that has waited longest is closed
    when another comes and all places are taken.
    """

    def __init__(self, *arguments: Any, most: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._most = most
        self._state: State = "head"
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room, and wait for a request for a while."""
        super().connection_made(transport)
        self._enter("head")
        if len(self.connections) > self._most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        try:
            super().data_received(data)
        except h11.LocalProtocolError:  # nonsense behind a request that is being answered
            self.transport.abort()
        self._look()

    def on_response_complete(self) -> None:
        """An answer is given, or handed to the system at least."""
        super().on_response_complete()
        self._look()

    def shutdown(self) -> None:
        """The server stops: a request that has not wholly come is not waited for."""
        if self.is_unfinished:
            self.transport.abort()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """The client does not take what is written."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()

    @property
    def is_unfinished(self) -> bool:
        """Whether the client owes the rest of a request, or a whole one."""
        return self._state != "request" or self.cycle.more_body

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._enter("request")
        elif self.conn.their_state is h11.SEND_BODY:
            self._enter("rest")
        elif self.cycle is None or self.conn.trailing_data[0]:
            self._enter("head")
        else:
            self._enter("idle")  # uvicorn has a limit for this

    def _enter(self, state: State) -> None:
        """The time of a state counts from its beginning, whatever arrives meanwhile."""
        if state == self._state and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._state, self._since = state, self.loop.time()
        if state in _SECONDS:
            self._timer = self.loop.call_later(_SECONDS[state], self.transport.abort)

    def _make_room(self) -> None:
        unfinished = [one for one in self.connections if one.is_unfinished]  # type: ignore[union-attr]
        oldest = min(unfinished or [self], key=lambda one: one._since)  # type: ignore[union-attr]  # noqa: SLF001 - of this class
        self.connections.discard(oldest)
        oldest.transport.abort()


def limited_protocol(most: int) -> Any:
    """The protocol class for uvicorn, of which so many may be open at once."""
    return functools.partial(LimitedProtocol, most=most)
