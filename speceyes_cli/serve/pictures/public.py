"""Which IP addresses are of the public internet."""

from __future__ import annotations

import ipaddress

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: IPv4 behind a translator
_UNICAST = ipaddress.ip_network("2000::/3")
"""RFC 4291: all that is given out of IPv6; fec0::/10, say, is site-local and lies outside."""
_RESERVED = tuple(
    map(
        ipaddress.ip_network,
        (
            "2001::/23",  # IETF protocol assignments, RFC 2928
            "2001:db8::/32",  # documentation, RFC 3849
            "3fff::/20",  # documentation, RFC 9637: newer than Python's own table
            "192.88.99.0/24",  # relays of 6to4, RFC 7526
        ),
    )
)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, whatever it is wrapped in."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner is None and ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
        if ip not in _UNICAST:
            return False
    reserved = any(ip in network for network in _RESERVED if network.version == ip.version)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or reserved)
