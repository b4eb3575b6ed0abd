"""Which proxy of the environment stands before an address."""

from __future__ import annotations

import ipaddress
import os
from typing import NamedTuple
from urllib.parse import urlsplit

from speceyes_cli.core.secrets import hide_userinfo


class NamedProxy(NamedTuple):
    """A proxy, and the variable that names it."""

    variable: str
    url: str
    """As it is named, which may hold a password."""

    def __str__(self) -> str:
        return f"{hide_userinfo(self.url)} that {self.variable} names"


def proxy_before(url: str) -> NamedProxy | None:
    """The proxy that a request to this address goes through; None where it goes there directly.

    Loopback addresses are always reached directly: a proxy on another machine would look for the
    server on its own.
    """
    from urllib.request import (  # noqa: PLC0415 - brings http.client and more
        getproxies_environment,
        proxy_bypass,
    )

    parts = urlsplit(url)
    host = parts.hostname or ""
    named = getproxies_environment()
    if is_loopback(host) or proxy_bypass(host):
        return None
    for scheme in (parts.scheme.lower(), "all"):
        if address := named.get(scheme):
            wanted = f"{scheme}_proxy"
            variable = next((name for name in os.environ if name.lower() == wanted), wanted.upper())
            url_of_proxy = address if "://" in address else f"http://{address}"
            return NamedProxy(variable, url_of_proxy)
    return None


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its loopback address."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
