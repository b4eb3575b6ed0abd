"""Pictures are fetched from the public internet alone."""

# ruff: noqa: S104 - addresses that must be refused, and a server for two loopback addresses

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from speceyes_cli.core.errors import PictureError
from speceyes_cli.serve.pictures.fetch import fetch_picture, is_public


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0"),
        *("fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "2002:a00:1::"),
    ],
)
def test_private_addresses_in_every_wrapping(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


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
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 1000)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Handler.seen = []
    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def allow(address: str) -> bool:
    """127.0.0.2 plays the public internet, 127.0.0.1 the private network."""
    return address == "127.0.0.2"


def test_a_public_picture_is_fetched_over_redirects(port: int) -> None:
    base = f"http://127.0.0.2:{port}"
    assert fetch_picture(f"{base}/to/{base}/a.png?q=1", 1000, allow) == b"x" * 1000
    assert Handler.seen[-1] == "/a.png?q=1"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("127.0.0.1:{port}/a.png", "not on the public internet"),
        ("localhost:{port}/a.png", "not on the public internet"),
        ("0x7f000001:{port}/a.png", "not"),
        ("127.0.0.2:{port}/to/http://127.0.0.1:{port}/a.png", "not on the public internet"),
        ("127.0.0.2:{port}/to/file:///etc/passwd", "not a plain http"),
        ("127.0.0.2:{port}/none", "answered 404"),
        ("127.0.0.2:{port}/a b", "not a plain http"),
        ("me:pw@127.0.0.2:{port}/a", "not a plain http"),
        ("127.0.0.2:1/a", "cannot be reached"),
    ],
)
def test_what_cannot_be_fetched(port: int, path: str, told: str) -> None:
    with pytest.raises(PictureError, match=told):
        fetch_picture("http://" + path.format(port=port), 10_000, allow)
    assert not any(path == "/a.png" for path in Handler.seen)


def test_bodies_and_redirects_have_an_end(port: int) -> None:
    with pytest.raises(PictureError, match="more than 999 bytes"):
        fetch_picture(f"http://127.0.0.2:{port}/a", 999, allow)
    with pytest.raises(PictureError, match="more than 3 times"):
        fetch_picture(f"http://127.0.0.2:{port}/to/{'/to/' * 9}", 999, allow)
