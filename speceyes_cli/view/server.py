"""Runs the page on the loopback address until it is stopped."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from speceyes_cli.host.manager import Host
from speceyes_cli.view.app import build_app
from speceyes_cli.view.catalog import Catalog
from speceyes_cli.view.rendering import load_templates

ADDRESS = "127.0.0.1"
STOP_SECONDS = 2


class ViewServer(uvicorn.Server):
    """The page's server, and the thread that reads the folders."""

    def __init__(self, roots: Sequence[Path], host: Host, listener: socket.socket) -> None:
        """`listener` is bound to the loopback address."""
        os.environ["HF_HUB_OFFLINE"] = "1"  # a dataset that was downloaded is opened, none is
        self.catalog = Catalog(roots, host)
        self.catalog.discover()
        load_templates()
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(24)
        self.address = f"http://{ADDRESS}:{port}/?token={token}"
        """Where the page is, token included."""
        config = uvicorn.Config(
            build_app(self.catalog, host, token, f"speceyes-view-{port}"),
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        super().__init__(config)

    def serve_until_stopped(self, listener: socket.socket) -> None:
        """Serve until SIGINT, SIGTERM or `should_exit`."""
        reading = threading.Thread(target=self.catalog.watch, name="reading", daemon=True)
        reading.start()
        try:
            self.run(sockets=[listener])
        finally:
            self.catalog.stop()
            reading.join(STOP_SECONDS)


def run_view(
    roots: Sequence[Path],
    host: Host,
    listener: socket.socket,
    announce: Callable[[str], None],
    *,
    open_browser: bool,
) -> None:
    """Show the page until Ctrl-C; `announce` is told its address."""
    server = ViewServer(roots, host, listener)
    listener.listen()  # whoever reads the next line may connect at once
    announce(f"Runs are shown at {server.address} (Ctrl-C stops it)")
    if open_browser:
        webbrowser.open(server.address)
    server.serve_until_stopped(listener)
