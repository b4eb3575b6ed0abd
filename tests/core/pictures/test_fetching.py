"""A fetch ends, whatever the server does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hostile_server import BROKEN, LONG, SLOW, HostileServer, Sends, bomb

from speceyes_cli.core.pictures.fetching import FetchError, fetch

pytestmark = pytest.mark.timeout(60)  # a fetch without a limit hangs

MOST = 2**20
ON_THE_WAY = 32 * 2**20
"""Bytes that a server may have sent beyond what was read: buffers of the system."""


class Handler(BaseHTTPRequestHandler):
    seen: list[str]

    def do_GET(self) -> None:
        type(self).seen.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Length", "2000" if self.path == "/short" else "1000")
        self.end_headers()
        self.wfile.write(b"x" * 1000)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Handler.seen = []
    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)  # noqa: S104 - for two loopback addresses
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def allow(address: str) -> bool:
    """127.0.0.2 plays the public internet, 127.0.0.1 the private network."""
    return address == "127.0.0.2"


def test_a_body_is_fetched_over_redirects(port: int) -> None:
    base = f"http://127.0.0.2:{port}"
    for rule in (allow, None):
        assert fetch(f"{base}/to/{base}/a.png?q=1", 20, 1000, rule) == b"x" * 1000
        assert Handler.seen[-1] == "/a.png?q=1"
    assert fetch(f"{base}/to//b.png", 20, 1000, allow) == b"x" * 1000


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("127.0.0.1:{port}/a.png", "not on the public internet"),
        ("localhost:{port}/a.png", "not on the public internet"),
        ("0x7f000001:{port}/a.png", "not"),
        ("nowhere.invalid/a.png", "a host that is not known"),
        ("127.0.0.2:{port}/to/http://127.0.0.1:{port}/a.png", "not on the public internet"),
        ("127.0.0.2:{port}/to/file:///etc/passwd", "not"),
        ("127.0.0.2:{port}/to/http://me:pw@127.0.0.2:{port}/b", "holds a user or password"),
        ("127.0.0.2:{port}/none", "answered 404"),
        ("127.0.0.2:{port}/a b", "not a plain http"),
        ("me:pw@127.0.0.2:{port}/a", "holds a user or password"),
        ("127.0.0.2:{port}/short", "broke off after 1000 of 2000 bytes"),
        ("127.0.0.2:1/a", "cannot be fetched"),
    ],
)
def test_what_cannot_be_fetched(port: int, path: str, told: str) -> None:
    with pytest.raises(FetchError, match=told) as raised:
        fetch("http://" + path.format(port=port), 20, 10_000, allow)
    assert not any(path == "/a.png" for path in Handler.seen)
    assert "pw" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bodies_and_redirects_have_an_end(port: int) -> None:
    with pytest.raises(FetchError, match="more than 999 bytes"):
        fetch(f"http://127.0.0.2:{port}/a", 20, 999, allow)
    with pytest.raises(FetchError, match="more than 3 times"):
        fetch(f"http://127.0.0.2:{port}/to/{'/to/' * 9}", 20, 999, allow)


def test_a_proxy_is_used_only_where_any_address_may_be(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")
    assert fetch("http://nowhere.invalid/a", 20, 1000) == b"x" * 1000
    assert Handler.seen == ["http://nowhere.invalid/a"]
    with pytest.raises(FetchError, match="not known"):
        fetch("http://nowhere.invalid/a", 20, 1000, allow)


def name(mode: Any) -> str:
    return str(mode.__name__)


@pytest.mark.parametrize("mode", SLOW, ids=name)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_slow_server_is_left_when_the_time_is_over(mode: Sends, scheme: str) -> None:
    """Over https the server drips in place of the handshake."""
    with HostileServer(mode, speaks_first=scheme == "https").running() as server:
        with pytest.raises(FetchError, match=r"took over 0\.5 seconds|cannot be fetched") as told:
            fetch(f"{scheme}://127.0.0.1:{server.port}/a.png", 0.5, MOST)
    assert scheme == "https" or "took over" in str(told.value)


@pytest.mark.parametrize("mode", [*(mode for mode in LONG if mode is not bomb), *BROKEN], ids=name)
def test_a_long_or_broken_answer_is_left(mode: Sends) -> None:
    with HostileServer(mode).running() as server:
        with pytest.raises(FetchError):
            fetch(f"http://127.0.0.1:{server.port}/a.png", 20, MOST)
    assert server.sent < MOST + ON_THE_WAY
