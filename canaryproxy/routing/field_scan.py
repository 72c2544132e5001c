"""Finds single fields, cookies and parameters of a request without parsing all. The reference of field_scan.pyx."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

# Limit on cached patterns: names come from configurations, not from requests.
_NAMES_KEPT = 4096

_client_id = re.compile(rb"[A-Za-z0-9_-]{16,64}").fullmatch


def is_client_id(value: bytes) -> bool:
    """Whether a cookie's value can be a client id of ours; any other value is replaced."""
    return _client_id(value) is not None


def field_values(block: bytes, name: bytes) -> tuple[bytes, ...]:
    """The values, without outer white space, of the fields of this lower-case name in a block of lines."""
    return tuple([value.strip(b" \t") for value in _field(name)(block)])


_of_caching = re.compile(rb"^(?i:vary|expires|x-accel-expires|[^\s:]*control):", re.MULTILINE).search


def has_cache_fields(block: bytes) -> bool:
    """Whether a block of lines may have caching fields; a quick check that excludes most responses."""
    return _of_caching(block) is not None


def path_of(target: bytes) -> bytes:
    """A request target without its query."""
    mark = target.find(b"?")
    return target if mark < 0 else target[:mark]


def cookie_values(field: bytes, name: bytes) -> tuple[bytes, ...]:
    """The values that a Cookie field has for a name, without surrounding quotes (RFC 6265 4.1.1)."""
    pairs = [pair.partition(b"=") for pair in field.split(b";")]
    values = [value for found, equals, value in pairs if equals and found.strip(b" \t") == name]
    return tuple([_unquoted(value.strip(b" \t")) for value in values])


class FieldNames:
    """Names of requested cookies; None for all."""

    __slots__ = ("_names",)

    def __init__(self, names: Iterable[bytes] | None) -> None:
        self._names = None if names is None else frozenset(names)

    def __contains__(self, name: bytes) -> bool:
        return self._names is None or name in self._names

    def cookies(self, fields: tuple[bytes, ...]) -> dict[bytes, tuple[bytes, ...]]:
        """The values of the cookies of these names, in one pass."""
        found: dict[bytes, list[bytes]] = {}
        for field in fields:
            for pair in field.split(b";"):
                name, equals, value = pair.partition(b"=")
                name = name.strip(b" \t")
                if equals and name in self:
                    found.setdefault(name, []).append(_unquoted(value.strip(b" \t")))
        return {name: tuple(values) for name, values in found.items()}


def parameters(target: bytes) -> dict[bytes, tuple[bytes, ...]]:
    """Decoded values in the query of a request target, by decoded name; a name without `=` has an empty value."""
    found: dict[bytes, list[bytes]] = {}
    for pair in target.partition(b"?")[2].split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            found.setdefault(_decoded(name), []).append(_decoded(value))
    return {name: tuple(values) for name, values in found.items()}


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" ")) if b"%" in text or b"+" in text else text


def is_normal(path: bytes) -> bool:
    """Whether a path is in normal form: no percent-encoding, no empty segment, none that begins with a dot."""
    return path.find(b"%") < 0 and path.find(b"//") < 0 and path.find(b"/.") < 0


def _unquoted(value: bytes) -> bytes:
    """The value without surrounding quotes."""
    return value[1:-1] if len(value) > 1 and value[:1] == b'"' == value[-1:] else value


@lru_cache(maxsize=_NAMES_KEPT)
def _field(name: bytes) -> Callable[[bytes], list[bytes]]:
    return re.compile(rb"^(?i:%b):([^\r]*)\r" % re.escape(name), re.MULTILINE).findall
