"""Who sent a request: the peer of the connection, and how far it is believed."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from canaryproxy.model.settings import Network

Address = IPv4Address | IPv6Address

MAPPED = ("::ffff:", "::FFFF:")
"""How IPv4 addresses begin that are written as IPv6 ones (RFC 4291 2.5.5.2)."""


def read_address(text: str) -> Address | None:
    """An IP address without zone and without port, IPv4-mapped ones as IPv4; None for anything else."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def plain(address: str) -> str:
    """An address as a socket tells it, an IPv4 client of a listener for both families by its IPv4 address."""
    if not address.startswith(MAPPED):
        return address
    found = read_address(address)
    return address if found is None else str(found)


class Client:
    """A connection's peer. `address` is an IP address without port, or `unknown`, never an IPv4-mapped one; `trusted`:
    it is one of the proxies whose word on earlier hops is taken; `scheme` is `http` or `https`.

    Whoever decides about requests remembers here the last `key` of the connection and the number, `user`, that its
    `hash` made of it: nearly all requests of a connection bring the same one.
    """

    __slots__ = ("_networks", "address", "hash", "key", "scheme", "trusted", "user")

    def __init__(self, address: str, scheme: bytes = b"http", networks: Sequence[Network] = ()) -> None:
        self.address = plain(address).encode("ascii")
        self.scheme = scheme
        self._networks = networks
        self.hash: Any = None
        self.key: Any = None
        self.user = 0
        self.trusted = bool(networks) and self._believes(read_address(address))

    def __repr__(self) -> str:
        return f"<Client {self.address!r} {self.scheme!r}{' trusted' if self.trusted else ''}>"

    def _believes(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def source(self, forwarded_for: Iterable[bytes]) -> Address | None:
        """The address of the first hop, from the right, that is not a trusted proxy.

        `forwarded_for` are the values of X-Forwarded-For in their order. They are read only where the peer is
        trusted, and only up to the first entry that is no address: what stands before it was not checked by
        anyone we trust.
        """
        nearest = read_address(self.address.decode("ascii"))
        if not self.trusted:
            return nearest
        hops = [hop for value in forwarded_for for hop in value.decode("latin-1").split(",")]
        for hop in reversed(hops):
            address = read_address(_without_port(hop.strip()))
            if address is None:
                return nearest
            nearest = address
            if not self._believes(address):
                return address
        return nearest


def _without_port(hop: str) -> str:
    """Some load balancers add the port: `192.0.2.7:4711`, `[2001:db8::1]:4711`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
