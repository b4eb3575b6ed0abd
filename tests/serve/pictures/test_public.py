"""Which addresses are of the public internet."""

# ruff: noqa: S104 - addresses that must be refused

from __future__ import annotations

import pytest

from speceyes_cli.serve.pictures.public import is_public


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0"),
        *("fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "2002:a00:1::", "fec0::1", "feff::1", "3fff::1", "3fff:fff::1"),
        *("2001:db8::1", "2001:2::1", "100::1", "64:ff9b:1::1", "5f00::1", "4000::1", "::7f00:1"),
        *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "192.88.99.1"),
    ],
)
def test_private_addresses_in_every_wrapping(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450::1"),
        *("::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "3ffe::1"),
    ],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)
