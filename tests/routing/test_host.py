"""Hosts as they are compared."""

import pytest

from canaryproxy.routing.host import host_name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"Shop.Example.COM", b"shop.example.com"), (b"shop.test:8080", b"shop.test"), (b"shop.test.", b"shop.test"),
        (b"shop.test.:80", b"shop.test"), (b"[::1]:80", b"[::1]"), (b"[0:0::1]", b"[::1]"), (b"127.0.0.1:1", b"127.0.0.1"),
        (b"[junk]", b"[junk]"),
    ],
)  # fmt: skip
def test_case_port_and_a_trailing_dot_do_not_matter(host: bytes, name: bytes) -> None:
    """H53."""
    assert host_name(host) == name
