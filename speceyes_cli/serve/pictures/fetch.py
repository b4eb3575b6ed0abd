"""Pictures from http(s) addresses, for operators who allow it: public ones only.

A host's every address is checked, the connection goes to the very address that was checked, and a
redirect is checked like the first address.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urljoin, urlsplit

from speceyes_cli.core.errors import PictureError

SECONDS = 10.0
REDIRECTS = 3
_CHUNK = 2**16
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: IPv4 behind a translator

IsAllowed = Callable[[str], bool]


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, whatever it is wrapped in."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner is None and ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved)


def fetch_picture(url: str, most_bytes: int, is_allowed: IsAllowed = is_public) -> bytes:
    """The body behind an address; `PictureError` for a private one, or one that gives no body."""
    deadline = time.monotonic() + SECONDS
    for _ in range(REDIRECTS + 1):
        found = _get(_split(url), most_bytes, deadline, is_allowed)
        if isinstance(found, bytes):
            return found
        url = urljoin(url, found)
    raise PictureError(f"the picture's address redirects more than {REDIRECTS} times")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.username or not url.isascii() or any(ord(sign) <= 32 for sign in url):  # noqa: PLR2004 - space and below
        raise PictureError("the picture's address is not a plain http(s) URL")
    return parts


def _get(
    parts: SplitResult, most_bytes: int, deadline: float, is_allowed: IsAllowed
) -> bytes | str:
    """The body, or where a redirect leads."""
    connection = _connect(parts, deadline, is_allowed)
    try:
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request("GET", path, headers={"User-Agent": "speceyes"})
        response = connection.getresponse()
        if response.status in (301, 302, 303, 307, 308):
            return response.headers.get("Location") or ""
        if response.status != 200:  # noqa: PLR2004 - OK
            raise PictureError(f"the picture's address answered {response.status}")
        body = bytearray()
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > most_bytes:
                raise PictureError(f"the picture has more than {most_bytes:,} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError
        return bytes(body)
    except (OSError, http.client.HTTPException) as error:
        reason = type(error).__name__
        raise PictureError(f"the picture's address cannot be read ({reason})") from None
    finally:
        connection.close()


def _connect(
    parts: SplitResult, deadline: float, is_allowed: IsAllowed
) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise PictureError("the picture's host is not known") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_allowed(address) for address in addresses):
        raise PictureError("the picture's host is not on the public internet")
    connection = http.client.HTTPConnection(host, port)
    try:
        left = max(0.1, deadline - time.monotonic())
        plain = socket.create_connection((addresses[0], port), timeout=left)
        connection.sock = plain
        if parts.scheme == "https":
            secure = ssl.create_default_context()
            connection.sock = secure.wrap_socket(plain, server_hostname=host)
    except OSError as error:
        connection.close()
        reason = type(error).__name__
        raise PictureError(f"the picture's address cannot be reached ({reason})") from None
    return connection
