"""What an http(s) address holds, within one time limit from connecting to the last byte.

A time limit of the socket is for each read, which a server that sends a byte now and then never
meets. Here the connection is shut down when the time is over, whatever is waited for.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from speceyes_cli.core.secrets import has_userinfo
from speceyes_cli.core.text import one_line

REDIRECTS = 3
_CHUNK = 2**16
_GOOD = range(200, 300)

Check = Callable[[str], bool]
"""Whether an IP address may be connected to."""


class FetchError(Exception):
    """The address gave nothing; the text is a clause such as "answered 404"."""


class TooLongError(FetchError):
    """There are more bytes than are wanted."""


def fetch(url: str, seconds: float, most_bytes: int, allows: Check | None = None) -> bytes:
    """The body behind an http(s) address, over three redirects at most; raises `FetchError`.

    With `allows` every address that a host name stands for must be allowed, the connection goes to
    one that was checked, and no proxy is used; without it the environment's proxies are.
    """
    check_url(url)
    limit = _TimeLimit(seconds, allows)
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(None if allows is None else {}),
        _Handler(limit),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={"User-Agent": "speceyes"})  # noqa: S310 - http(s) was checked
    with limit.kept():
        try:
            with opener.open(request, timeout=seconds) as response:
                body = _read(response, most_bytes)
            failure = None
        except FetchError as error:
            failure = error
        except urllib.error.HTTPError as error:
            error.close()
            failure = FetchError(f"answered {error.code} {one_line(str(error.reason), 80)}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            limit.over |= isinstance(reason, TimeoutError)
            failure = FetchError(f"cannot be fetched ({one_line(str(reason), 80)})")
    if limit.over:  # what was cut off by it may look like an end
        raise FetchError(f"took over {seconds:g} seconds")
    if failure is not None:
        raise failure
    return body


def check_url(url: str) -> None:
    """Raise `FetchError` for what is no plain http(s) URL; nothing of it is repeated."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if has_userinfo(url):
        raise FetchError("holds a user or password, which an address may not")
    if not fits or not url.isascii() or any(ord(sign) <= 32 for sign in url):  # noqa: PLR2004 - space and below
        raise FetchError("is not a plain http(s) URL")


def _read(response: Any, most_bytes: int) -> bytes:
    announced = response.length
    body = bytearray()
    while chunk := response.read1(_CHUNK):
        body += chunk
        if len(body) > most_bytes:
            raise TooLongError(f"has more than {most_bytes:,} bytes")
    if announced is not None and len(body) < announced:
        raise FetchError(f"broke off after {len(body)} of {announced} bytes")
    return bytes(body)


class _TimeLimit:
    """Connects, and shuts down what it connected when the time is over."""

    def __init__(self, seconds: float, allows: Check | None) -> None:
        self._end = time.monotonic() + seconds
        self._allows = allows
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True
        self.over = False

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """The time counts while the block lasts."""
        self._timer.start()
        try:
            yield
        finally:
            self._timer.cancel()
            with self._lock:
                for held in self._held:
                    held.close()
                self._held.clear()

    def connect(self, address: tuple[str, int], *_: object) -> socket.socket:
        """A connection to a host that is allowed, tried at each of its addresses in turn."""
        try:
            found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise FetchError("has a host that is not known") from None
        places = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if self._allows is not None and not all(map(self._allows, places)):
            raise FetchError("has a host that is not on the public internet")
        error: OSError = OSError("no address")
        for place in places:
            try:
                left = max(0.001, self._end - time.monotonic())
                connection = socket.create_connection((place, address[1]), timeout=left)
            except OSError as one:
                error = one
                continue
            self._hold(connection)
            return connection
        raise error

    def _hold(self, connection: socket.socket) -> None:
        """Keep a second descriptor of it, which stays when TLS takes the first over."""
        with self._lock:
            if self.over:
                connection.close()
                raise TimeoutError
            self._held.append(socket.socket(fileno=os.dup(connection.fileno())))

    def _shut(self) -> None:
        with self._lock:
            self.over = True
            for held in self._held:
                with contextlib.suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens both schemes over the limit's connections."""

    def __init__(self, limit: _TimeLimit) -> None:
        super().__init__()
        self._limit = limit

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._make(http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._make(http.client.HTTPSConnection), req)

    def _make(self, kind: type[http.client.HTTPConnection]) -> Any:
        def make(host: str, **options: Any) -> http.client.HTTPConnection:
            connection = kind(host, **options)
            connection._create_connection = self._limit.connect  # type: ignore[attr-defined]  # noqa: SLF001 - made for this
            return connection

        return make


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A few, each checked like the first address; their bodies are not read."""

    max_redirections = max_repeats = REDIRECTS + 1

    def __init__(self) -> None:
        self._count = 0

    def redirect_request(self, *arguments: Any) -> Any:
        """The request, its URL the last argument; None where the library knows none."""
        self._count += 1
        if self._count > REDIRECTS:
            raise FetchError(f"redirects more than {REDIRECTS} times")
        check_url(arguments[-1])
        return super().redirect_request(*arguments)

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        fp.close()
        return super().http_error_302(req, io.BytesIO(), code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
