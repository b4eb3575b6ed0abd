"""The server process: listen, answer, and on a signal finish the requests in flight."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import uvicorn

from speceyes_cli.core.chat import Engine, Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.serve.http.app import build_endpoint
from speceyes_cli.serve.http.connections import WRITE_SECONDS, limited_protocol, share_open_files
from speceyes_cli.serve.queue import RequestQueue
from speceyes_cli.serve.service import Service

FAILED = 1
BACKLOG = 2048
"""Connections that the system keeps waiting until they are accepted."""
MOST_AT_ONCE = 128
IDLE_SECONDS = 75
"""For a connection between two requests: balancers keep theirs for 60, and what one sends into a
connection that is being closed is lost."""
GRACE_SECONDS = 1.0
"""After --stop-seconds: to close what can be closed."""
CLOSE = (b"connection", b"close")
LOOK_SECONDS = 0.1
"""Between two looks, while draining, at whether the stop is to be at once."""
DROPPED = "Some questions were dropped: they took longer than --stop-seconds."


def open_socket(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not yet listening; raises `UsageError` if it is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host}: there is no such address ({error.strerror}).") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # also for what is left to send after a close
            milliseconds = int(1000 * WRITE_SECONDS)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"Port {port} of {host} cannot be had ({error.strerror}); "
            "name another with --port, or 0 for a free one."
        ) from None
    return listener


class StoppableServer(uvicorn.Server):
    """uvicorn's server, which knows when it was told to stop."""

    def __init__(
        self,
        service: Service,
        queue: RequestQueue,
        listener: socket.socket,
        stop_seconds: float,
        on_stop: Callable[[], None] = lambda: None,
        drain_seconds: float = 0.0,
    ) -> None:
        """`on_stop` is called when a stop begins, `drain_seconds` after it was asked for."""
        files = share_open_files()
        config = uvicorn.Config(
            build_endpoint(service, queue),
            http=limited_protocol(files.connections),
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            # asyncio accepts so many at once, before the first is counted
            backlog=max(1, min(MOST_AT_ONCE, files.kept_back // 8)),
            timeout_graceful_shutdown=math.ceil(stop_seconds),
            timeout_keep_alive=IDLE_SECONDS,
        )
        super().__init__(config)
        self._listener = listener
        self._queue = queue
        self._drain_seconds = drain_seconds
        self._stop_seconds = stop_seconds
        self._on_stop = on_stop
        self._stopped_at: float | None = None

    @property
    def seconds_left(self) -> float:
        """What a stop still leaves to the questions in flight."""
        if self.force_exit or self._stopped_at is None:
            return 0.0
        return max(0.0, self._stopped_at + self._stop_seconds - time.monotonic())

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; more may wait to be accepted than are accepted at once."""
        await super().startup(sockets)
        self._listener.listen(BACKLOG)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop: also where nothing can be answered any more."""
        return await super().on_tick(counter) or self._queue.failure is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Be unready for a while, then stop."""
        await self._drain()
        self._stopped_at = time.monotonic()
        self._on_stop()
        await super().shutdown(sockets)

    async def _drain(self) -> None:
        """Answer as before, each connection once more, until balancers have turned away."""
        if self._queue.failure is not None:
            return
        self._queue.withdraw()
        end = time.monotonic() + self._drain_seconds
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        while not self.force_exit and time.monotonic() < end:  # noqa: ASYNC110 - a flag of uvicorn's
            await asyncio.sleep(min(LOOK_SECONDS, self._drain_seconds))


def run_server(
    service: Service,
    engines: Mapping[Role, Engine],
    listener: socket.socket,
    stop_seconds: float,
    announce: Callable[[str], None],
    *,
    drain_seconds: float = 0.0,
) -> None:
    """Serve until SIGINT or SIGTERM; then take no more, and finish what is in flight.

    For the first `drain_seconds` everything is still taken, while `/readyz` tells balancers to send
    no more. Whatever still runs `stop_seconds` later is left, and the process ends.

    Where nothing can be answered any more it stops too and raises why: a process that goes on to
    refuse all is left alone by whoever restarts those that end.
    """
    closed = threading.Event()

    def end() -> None:
        if not closed.is_set():
            announce(DROPPED)
        os._exit(0 if queue.failure is None else FAILED)

    def begin_stop() -> None:
        announce("Stopping: what is in flight is finished.")
        timer = threading.Timer(stop_seconds + GRACE_SECONDS, end)
        timer.daemon = True
        timer.start()

    queue = RequestQueue(service, engines)
    server = StoppableServer(service, queue, listener, stop_seconds, begin_stop, drain_seconds)
    address = listener.getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    listener.listen(BACKLOG)  # whoever reads the next line may connect at once
    announce(f"{service.name} is served at http://{shown}:{address[1]}/v1 (Ctrl-C stops it)")
    if service.page:
        announce(f"A page for trying it is at http://{shown}:{address[1]}/")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    finally:
        finished = queue.close(server.seconds_left)
        closed.set()
        if not finished:
            announce(DROPPED)
    if queue.failure is not None:
        raise queue.failure


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
