"""The client of a request: the peer of the connection, and what a trusted proxy says about earlier hops."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple

from canaryproxy.model import forwarded
from canaryproxy.model.forwarded import MAX_HOPS, SECURE, Address, Element, Forwarding
from canaryproxy.model.settings import Network

# Fields that mean something to a proxy, as (lower-case name, value).
Special = Sequence[tuple[bytes, bytes]]

FORWARDING = Forwarding()

# Prefix of IPv4 addresses written as IPv6 ones (RFC 4291 2.5.5.2).
MAPPED = ("::ffff:", "::FFFF:")

# Bits of an IPv6 address that name a site: a host there has all of the other 64 to choose from (RFC 4291 2.5.4).
SITE_PREFIX_LENGTH = 64


def read_address(text: str) -> Address | None:
    """An IP address without zone and without port, IPv4-mapped ones as IPv4; None for anything else."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def plain(address: str) -> str:
    """An address from a socket; that of an IPv4 client of a dual-stack listener as IPv4."""
    if not address.startswith(MAPPED):
        return address
    found = read_address(address)
    return address if found is None else str(found)


def client_prefix(address: str) -> str:
    """The unit by which clients are counted: an IPv4 address, the /64 of an IPv6 address. Any other text, such as
    `unknown`, is its own unit. An IPv4-mapped address counts as its IPv4 address.
    """
    found = read_address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, SITE_PREFIX_LENGTH), strict=False))
    return address if found is None else str(found)


class RequestOrigin(NamedTuple):
    """The origin of a request: the address of the first hop, from the right, that is not a trusted proxy, or None, and
    the client's scheme. `behind` are the trusted proxies on the way, outermost first; `host` is the host according to
    the outermost one, or empty.
    """

    address: Address | None
    scheme: bytes
    behind: tuple[Address, ...] = ()
    host: bytes = b""


class Client:
    """A connection's peer. `address` is an IP address without port, never IPv4-mapped, or `unknown`; `trusted`: the
    peer is a trusted proxy, whose `forwarding` fields are read; `scheme` is `http` or `https`.

    Routing caches here the last affinity `key` of the connection and the number `user` that `hash` made of it: nearly
    all requests of a connection have the same key.
    """

    def __init__(
        self,
        address: str,
        scheme: bytes = b"http",
        networks: Sequence[Network] = (),
        forwarding: Forwarding = FORWARDING,
    ) -> None:
        self.address = plain(address).encode("ascii")
        self.scheme = scheme
        self.forwarding = forwarding
        self._networks = networks
        self.hash: Any = None
        self.key: Any = None
        self.user = 0
        self.trusted = bool(networks) and self._trusts(read_address(address))

    def __repr__(self) -> str:
        return f"<Client {self.address!r} {self.scheme!r}{' trusted' if self.trusted else ''}>"

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def origin(self, special: Special) -> RequestOrigin:
        """The origin of a request with these special fields. They are read only from a trusted peer, and only up to the
        first hop that is not an address: no trusted proxy has checked the hops before it.
        """
        nearest = read_address(self.address.decode("ascii"))
        if not self.trusted or nearest is None:
            return RequestOrigin(nearest, self.scheme)
        scheme, host, behind = self.scheme, b"", []
        hops: Iterable[tuple[Address | None, Element]]
        if self.forwarding.standard:
            elements = forwarded.hops_of([value for name, value in special if name == b"forwarded"])
            hops = ((_address_of(element), element) for element in reversed(elements))
        else:
            values = [value for name, value in special if name == b"x-forwarded-proto"]
            scheme = (values[0].partition(b",")[0].strip(b" \t").lower() if values else b"") or scheme
            lines = [value.decode("latin-1") for name, value in special if name == b"x-forwarded-for"]
            # One by one: a client may send a hundred hops, and only those up to the first untrusted one are needed.
            hops = ((read_address(_without_port(hop.strip())), {}) for hop in _nearest(lines))
        for address, element in hops:
            scheme = forwarded.scheme_of(element) or scheme
            host = element.get(b"host", host)
            if address is None:
                break
            behind.append(nearest)
            nearest = address
            if not self._trusts(address):
                break
        return RequestOrigin(nearest, scheme, tuple(reversed(behind)), host)

    def source(self, special: Special) -> Address | None:
        """The address of the client that sent a request with these special fields; None if it is unknown."""
        return self.origin(special).address

    def secure(self, special: Special) -> bool:
        """Whether the client used https, to us or to a trusted proxy."""
        return self.scheme_of(special) in SECURE

    def scheme_of(self, special: Special) -> bytes:
        """The client's scheme: from a trusted proxy, else that of the connection."""
        return self.origin(special).scheme if self.trusted else self.scheme


def _address_of(element: Element) -> Address | None:
    node = forwarded.node_address(element.get(b"for", b""))
    return None if node is None else read_address(node.decode("ascii"))


def _nearest(lines: list[str]) -> list[str]:
    """The last hops of X-Forwarded-For fields, nearest first, at most `MAX_HOPS`."""
    found: list[str] = []
    for line in reversed(lines):
        found += reversed(line.rsplit(",", MAX_HOPS)[-MAX_HOPS:])
        if len(found) >= MAX_HOPS:
            break
    return found[:MAX_HOPS]


def _without_port(hop: str) -> str:
    """Some load balancers add the port: `192.0.2.7:4711`, `[2001:db8::1]:4711`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
