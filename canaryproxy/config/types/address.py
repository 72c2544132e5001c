"""Addresses as users write them: where to listen, where upstreams are, whom to trust.

Pure functions that raise `InvalidValueError`; nothing is resolved here. Every common slip has its own fix,
most of them with the corrected text. Host names are compared in lower case (RFC 3986 3.2.2).
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

MAPPED_BITS = 96
"""Of an IPv6 address, before the IPv4 address that it stands for (RFC 4291 2.5.5.2)."""

HIGHEST_PORT = 65_535

MAX_NAME_LENGTH = 253
"""Characters of a host name (RFC 1035 2.3.4, less the length octets and the root)."""

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_PORT = re.compile(r"\d{1,6}", re.ASCII)


class Address(NamedTuple):
    """Where to listen: a literal IP address, empty for all of both families, and a port; port 0 lets the system choose
    one.
    """

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return bool(self.host) and ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Origin(NamedTuple):
    """Where a version is reached: `http` or `https`, a host name or IP address, and a port."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

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
        raise InvalidValueError("leave out the zone (%...): scoped addresses are not supported")
    if (address.version == 6) != host.startswith("["):
        raise InvalidValueError(
            f"write [{address}] with brackets" if address.version == 6 else f"write {address} without brackets"
        )
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        raise InvalidValueError(f"write {mapped}, the IPv4 address that this one stands for")
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

    The text is never shown whole where it carries a user and password.
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
        raise InvalidValueError("leave out user and password (what stands before the @)", found="a URL with a user")
    scheme = scheme.lower()
    if scheme not in PORTS:
        raise InvalidValueError(f"only http:// and https:// are understood; {URL_EXPECTED}")
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
            "what stands in the brackets is not an IPv6 address; write it like http://[::1]:9001"
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
    return f"write the name as DNS knows it: {ascii_name}"


def server_name(value: object) -> str:
    """A DNS name to expect in a certificate."""
    if not isinstance(value, str) or not value.strip() or "://" in value:
        raise InvalidValueError("expected a host name such as shop.internal")
    return host_name(value)


def authority(value: object) -> str:
    """What a Host field says: a name or an address, and perhaps a port."""
    expected = "expected a host such as shop.example.com, or with a port: shop.example.com:8080"
    if not isinstance(value, str) or not value.strip() or "://" in value or "/" in value or "@" in value:
        raise InvalidValueError(expected)
    host, port_text = _split_port(value)
    port = "" if port_text is None else f":{_port(port_text, minimum=1)}"
    if not host.startswith("["):
        return (host_name(host) if host else _refused(expected)) + port
    try:
        return f"[{ipaddress.IPv6Address(host[1:-1])}]{port}"
    except ValueError:
        return _refused(expected)


def _refused(hint: str) -> str:
    raise InvalidValueError(hint)


def network(value: object) -> Network:
    """`10.0.0.0/8`, `2001:db8::/32`, or a single address (which is a network of one). IPv4 addresses in their IPv6 form
    (`::ffff:10.0.0.0/104`) are IPv4 ones, as those of clients are.
    """
    if not isinstance(value, str):
        raise InvalidValueError(NETWORK_EXPECTED)
    try:
        return _unmapped(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        whole = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise InvalidValueError(NETWORK_EXPECTED) from None
    raise InvalidValueError(f"the address has bits beyond its prefix: write {whole}")


def _unmapped(written: Network) -> Network:
    if isinstance(written, ipaddress.IPv6Network) and written.prefixlen >= MAPPED_BITS:
        first = written.network_address.ipv4_mapped
        if first is not None:
            return ipaddress.ip_network((first, written.prefixlen - MAPPED_BITS))
    return written


def _split_port(authority: str) -> tuple[str, str | None]:
    """Host (an IPv6 address keeps its brackets) and port; None where no colon announces a port."""
    if authority.startswith("["):
        inside, bracket, after = authority.partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise InvalidValueError("expected an IPv6 address in brackets and then the port, like [::1]:8080")
        return inside + bracket, after[1:] if after else None
    if authority.count(":") > 1:
        raise InvalidValueError("one colon announces the port; an IPv6 address stands in brackets, like [::1]:8080")
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _port(text: str, *, minimum: int) -> int:
    if not text:
        raise InvalidValueError("the port after the colon is missing; write it, or leave out the colon")
    if not _PORT.fullmatch(text) or not minimum <= int(text) <= HIGHEST_PORT:
        raise InvalidValueError(f"the port is not a number from {minimum} to {HIGHEST_PORT}")
    return int(text)
