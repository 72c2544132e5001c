"""Addresses as users write them: listening addresses, URLs of upstreams, trusted networks.

Pure functions that raise `InvalidValueError`; no name is resolved here. Every common mistake has an error message of
its own, most with the corrected text. Host names are compared in lower case (RFC 3986 3.2.2).
"""

import ipaddress
import re
from typing import NamedTuple

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.model.settings import Network

URL_EXPECTED = "expected a URL such as http://localhost:9001"
LISTEN_EXPECTED = "expected an address such as 127.0.0.1:8080, 0.0.0.0:8080, [::1]:8080 or :8080"
NETWORK_EXPECTED = "expected a network such as 10.0.0.0/8 or an address such as 192.0.2.7"
PORTS = {"http": 80, "https": 443}

EVERY_IPV4 = str(ipaddress.IPv4Address(0))
EVERY_IPV6 = str(ipaddress.IPv6Address(0))

# Bits of an IPv4-mapped IPv6 address before its IPv4 address (RFC 4291 2.5.5.2).
MAPPED_BITS = 96

HIGHEST_PORT = 65_535

# Characters of a host name (RFC 1035 2.3.4, less the length octets and the root).
MAX_NAME_LENGTH = 253

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_PORT = re.compile(r"\d{1,6}", re.ASCII)


def host_port(host: str, port: int) -> str:
    """`host:port`, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Address(NamedTuple):
    """A listening address: an IP address, empty for all addresses of both families, and a port. With port 0 the system
    chooses a free port.
    """

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return bool(self.host) and ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return host_port(self.host, self.port)


class Origin(NamedTuple):
    """Scheme (`http` or `https`), host name or IP address, and port of an endpoint of a version."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port`, with an IPv6 address in brackets."""
        return host_port(self.host, self.port)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def listen_address(value: object) -> Address:
    """`:8080`, `127.0.0.1:8080`, `0.0.0.0:8080`, `[::1]:8080`. Without a host: every address, IPv4 and IPv6."""
    if _is_port_alone(value):
        raise InvalidValueError(
            f"write 127.0.0.1:{value} for this machine only, or :{value} for every IPv4 and IPv6 address"
        )
    if not isinstance(value, str) or not value.strip():
        raise InvalidValueError(LISTEN_EXPECTED)
    if "://" in value:
        raise InvalidValueError(f"an address to listen on has no scheme; {LISTEN_EXPECTED}")
    host, port_text = _split_port(value)
    if port_text is None:
        raise InvalidValueError(f"the port is missing; {LISTEN_EXPECTED}")
    port = _port(port_text, minimum=0)
    if host == "":
        return Address("", port)
    if host == "*":
        raise InvalidValueError(
            f"write :{port} for every IPv4 and IPv6 address, 0.0.0.0:{port} or [::]:{port} for one family"
        )
    if host == "localhost":
        raise InvalidValueError(f"write 127.0.0.1:{port} or [::1]:{port}: a name can mean several addresses")
    return Address(_literal(host), port)


def _is_port_alone(value: object) -> bool:
    if isinstance(value, str) and _PORT.fullmatch(value):
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HIGHEST_PORT


def _literal(host: str) -> str:
    bare = host[1:-1] if host.startswith("[") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise InvalidValueError(f"the part before the port is not an IP address; {LISTEN_EXPECTED}") from None
    if "%" in bare:
        raise InvalidValueError("remove the zone (%...): scoped addresses are not supported")
    if (address.version == 6) != host.startswith("["):
        raise InvalidValueError(
            f"write [{address}] with brackets" if address.version == 6 else f"write {address} without brackets"
        )
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        raise InvalidValueError(f"write {mapped}, the IPv4 address that this address maps")
    return str(address)


def overlap(one: Address, other: Address) -> bool:
    """Whether two addresses cannot both be bound: the same port, and the same host or all hosts."""
    if one.port != other.port or one.port == 0:
        return False
    if not one.host or not other.host:
        return True
    if (":" in one.host) != (":" in other.host):
        return False
    return one.host == other.host or not {one.host, other.host}.isdisjoint((EVERY_IPV4, EVERY_IPV6))


def origin(value: object) -> Origin:
    """`http://host[:port]` or `https://...`; port 80 or 443 unless given. No path, query or user.

    A URL with user and password is never shown in an error message.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidValueError(URL_EXPECTED)
    if len(value) > 2 * MAX_NAME_LENGTH:
        raise InvalidValueError(f"this is too long for a URL of scheme, host and port; {URL_EXPECTED}")
    if any(character.isspace() or not character.isprintable() for character in value):
        raise InvalidValueError(f"a URL has no white space; {URL_EXPECTED}")
    scheme, mark, rest = value.partition("://")
    if not mark:
        raise InvalidValueError(_scheme_hint(value))
    if "@" in rest:
        raise InvalidValueError("remove user and password (the part before the @)", found="a URL with a user")
    scheme = scheme.lower()
    if scheme not in PORTS:
        raise InvalidValueError(f"the scheme must be http:// or https://; {URL_EXPECTED}")
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    if rest not in (authority, authority + "/"):
        raise InvalidValueError(f"a version's URL has no path, query or fragment: write {scheme}://{authority}")
    host, port_text = _split_port(authority)
    port = PORTS[scheme] if port_text is None else _port(port_text, minimum=1)
    return Origin(scheme, _origin_host(host), port)


def _scheme_hint(value: str) -> str:
    if "@" in value:
        raise InvalidValueError(URL_EXPECTED, found="a URL with a user and without a scheme")
    bare = re.sub(r"^(https?:)?/*", "", value, flags=re.IGNORECASE)
    try:
        origin(f"http://{bare}")
    except InvalidValueError:
        return f"the scheme is missing; {URL_EXPECTED}"
    return f"the scheme is missing: write http://{bare.removesuffix('/')}"


def _origin_host(host: str) -> str:
    if host == "":
        raise InvalidValueError(f"the host is missing; {URL_EXPECTED}")
    if not host.startswith("["):
        return host_name(host)
    try:
        return str(ipaddress.IPv6Address(host[1:-1]))
    except ValueError:
        raise InvalidValueError(
            "the text in brackets is not an IPv6 address; write it like http://[::1]:9001"
        ) from None


def host_name(host: str) -> str:
    """A DNS name or an IPv4 address in lower case, without a trailing dot."""
    name = host.lower().removesuffix(".")
    if not name.isascii():
        raise InvalidValueError(_international_hint(name))
    if name.count(":") > 1:
        raise InvalidValueError("put an IPv6 address in brackets, like [::1]")
    labels = name.split(".")
    if len(name) > MAX_NAME_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidValueError("expected a host name of letters, digits, hyphens and dots, such as shop.example.com")
    if labels[-1].isdigit():
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            raise InvalidValueError("this is neither a host name nor an IPv4 address such as 192.0.2.7") from None
    return name


def _international_hint(name: str) -> str:
    try:
        ascii_name = name.encode("idna").decode("ascii")
    except UnicodeError:
        return "expected a host name of letters, digits, hyphens and dots, such as shop.example.com"
    return f"write the name in its ASCII form: {ascii_name}"


def server_name(value: object) -> str:
    """A DNS name to expect in a certificate."""
    if not isinstance(value, str) or not value.strip() or "://" in value:
        raise InvalidValueError("expected a host name such as shop.internal")
    return host_name(value)


def authority(value: object) -> str:
    """The value of a Host field: a name or an address, with or without a port."""
    expected = "expected a host such as shop.example.com, or with a port: shop.example.com:8080"
    if not isinstance(value, str) or not value.strip() or "://" in value or "/" in value or "@" in value:
        raise InvalidValueError(expected)
    host, port_text = _split_port(value)
    port = "" if port_text is None else f":{_port(port_text, minimum=1)}"
    if not host.startswith("["):
        if host:
            return host_name(host) + port
        raise InvalidValueError(expected)
    try:
        return f"[{ipaddress.IPv6Address(host[1:-1])}]{port}"
    except ValueError:
        raise InvalidValueError(expected) from None


def network(value: object) -> Network:
    """`10.0.0.0/8`, `2001:db8::/32`, or a single address, which is a network of one. IPv4-mapped IPv6 networks
    (`::ffff:10.0.0.0/104`) become IPv4 networks, since the addresses of clients are converted the same way.
    """
    try:
        interface = ipaddress.ip_interface(value if isinstance(value, str) else "")
    except ValueError:
        raise InvalidValueError(NETWORK_EXPECTED) from None
    if int(interface.ip) != int(interface.network.network_address):  # a zone (RFC 4007) is in the first one only
        raise InvalidValueError(f"the address has bits beyond its prefix: write {interface.network}")
    return _unmapped(interface.network)


def _unmapped(written: Network) -> Network:
    if isinstance(written, ipaddress.IPv6Network) and written.prefixlen >= MAPPED_BITS:
        first = written.network_address.ipv4_mapped
        if first is not None:
            return ipaddress.ip_network((first, written.prefixlen - MAPPED_BITS))
    return written


def _split_port(authority: str) -> tuple[str, str | None]:
    """Host (an IPv6 address keeps its brackets) and port; None where no port is given."""
    if authority.startswith("["):
        inside, bracket, after = authority.partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise InvalidValueError("expected an IPv6 address in brackets and then the port, like [::1]:8080")
        return inside + bracket, after[1:] if after else None
    if authority.count(":") > 1:
        raise InvalidValueError("only the port follows a colon; an IPv6 address needs brackets, like [::1]:8080")
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _port(text: str, *, minimum: int) -> int:
    if not text:
        raise InvalidValueError("the port after the colon is missing; write it, or leave out the colon")
    if not _PORT.fullmatch(text) or not minimum <= int(text) <= HIGHEST_PORT:
        raise InvalidValueError(f"the port is not a number from {minimum} to {HIGHEST_PORT}")
    return int(text)
