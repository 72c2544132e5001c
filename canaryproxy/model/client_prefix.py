"""Which addresses count as one client where places are shared out. Pure."""

from ipaddress import IPv6Address, IPv6Network

from canaryproxy.model.client import read_address

SITE_PREFIX_LENGTH = 64
"""Bits of an IPv6 address that name a site: a host there has all of the other 64 to choose from (RFC 4291 2.5.4)."""


def client_prefix(address: str) -> str:
    """What an address is counted by: an IPv4 address itself, an IPv4-mapped one by its IPv4 address, an IPv6 address by
    its /64. Anything else, such as `unknown`, is counted as it is written.
    """
    found = read_address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, SITE_PREFIX_LENGTH), strict=False))
    return address if found is None else str(found)
