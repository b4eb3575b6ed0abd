"""The server's life: listen, answer, and on a signal finish what is in flight."""

from __future__ import annotations

import contextlib
import math
import signal
import socket
from collections.abc import Callable, Iterator, Mapping

import uvicorn

from speceyes_cli.core.chat import Engine, Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.serve.http.app import build_endpoint
from speceyes_cli.serve.queue import RequestQueue
from speceyes_cli.serve.service import Service


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
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"Port {port} of {host} cannot be had ({error.strerror}); "
            "name another with --port, or 0 for a free one."
        ) from None
    return listener


def run_server(
    service: Service,
    engines: Mapping[Role, Engine],
    listener: socket.socket,
    stop_seconds: float,
    announce: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM; then take no more, and finish what is in flight."""
    queue = RequestQueue(service, engines)
    config = uvicorn.Config(
        build_endpoint(service, queue),
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(stop_seconds),
    )
    address = listener.getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    listener.listen(config.backlog)  # whoever reads the next line may connect at once
    announce(f"{service.name} is served at http://{shown}:{address[1]}/v1 (Ctrl-C stops it)")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        announce("Stopping: what is in flight is finished.")
        if not queue.close(stop_seconds):
            announce("Some questions were dropped: they took longer than --stop-seconds.")


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
