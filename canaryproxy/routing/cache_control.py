"""Adds caching fields to responses: who may store them, and which request fields they depend on (RFC 9111).

An affinity cookie must not be stored for other clients, and a shared cache must not give one version's response to
clients of the other. Directives and names are added to the origin's fields, never removed. A response with explicit
expiry, but neither `private` nor `no-store`, is for shared caches: it gets neither the cookie nor `Vary: Cookie` unless
configured, since those would prevent cache hits.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache

from canaryproxy.model import table
from canaryproxy.model.head import ResponseHead, split_fields
from canaryproxy.routing.field_scan import has_cache_fields
from canaryproxy.routing.list_values import split

COOKIE = b"Cookie"
PRIVATE = b"private"
# Directives that allow a shared cache to store a response, or limit for how long.
EXPLICIT = {b"public", b"s-maxage", b"immutable", b"max-age"}

# Limits of the cache of parsed Cache-Control values: origins send few and short ones.
MAX_CACHED_VALUES = 1024
MAX_CACHED_LENGTH = 512

Values = dict[bytes, list[bytes]]

# Date formats of RFC 9110 5.6.7: the preferred one, and two obsolete ones.
_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")

# RFC 9213: Cache-Control for some caches only, which then ignore Cache-Control.
_targeted = re.compile(rb"(?:[a-z0-9-]+-)?cdn-cache-control").fullmatch


class CacheScope(IntEnum):
    """The origin's statement about storing a response: none; neither who nor how long; no shared cache; shared caches,
    or for how long.
    """

    SILENT = 0
    OPEN = 1
    CLOSED = 2
    SHARED = 3


SILENT, OPEN, CLOSED, SHARED = CacheScope


class CacheAdvisor:
    """Adds caching fields to the responses of one route. `names` are the fields that its decisions depend on."""

    def __init__(self, names: tuple[bytes, ...], asked: table.Caching) -> None:
        self._asked = asked
        self._names = names
        self._without_cookie = tuple([name for name in names if name != COOKIE])
        self.vary = b"Vary: %b\r\n" % b", ".join(names) if names else b""
        self._private = b"Cache-Control: private\r\n" + self.vary

    def __repr__(self) -> str:
        return f"<CacheAdvisor {self.vary!r}>"

    def lines(self, head: ResponseHead, cookie: bytes, wall_clock: Callable[[], float]) -> bytes:
        """The lines to add to a final response head, whose plain lines may change. `cookie` is the Set-Cookie line of a
        new key or empty; `wall_clock` returns seconds since the epoch.
        """
        if not cookie and not self.vary:
            return b""
        if has_cache_fields(head.plain):
            return self._added(head, cookie, wall_clock)
        return self._private + cookie if cookie else self.vary

    def _added(self, head: ResponseHead, cookie: bytes, wall_clock: Callable[[], float]) -> bytes:
        values: Values = {}
        for name, value in split_fields(head.plain):
            values.setdefault(name, []).append(value)
        sharing = sharing_of(values, wall_clock)
        names = self._names
        if sharing is SHARED:
            if not self._asked.cookie:
                cookie = b""
            if not self._asked.vary_cookie:
                names = self._without_cookie
        elif cookie and sharing is SILENT:
            cookie = b"Cache-Control: private\r\n" + cookie
        elif cookie and sharing is OPEN:
            head.plain = with_directive(head.plain, PRIVATE)
        missing = missing_names(values.get(b"vary", []), names)
        if not missing:
            return cookie
        if b"vary" not in values:
            return b"Vary: %b\r\n%b" % (b", ".join(missing), cookie)
        head.plain = appended(head.plain, b"vary", b", ".join(missing))
        return cookie


def sharing_of(values: Values, wall_clock: Callable[[], float]) -> CacheScope:
    """The scope of a response, from its fields (values by lower-case name)."""
    if any(_by_target(name, lines) for name, lines in values.items()):
        return SHARED
    said, asks = _by_directives(tuple(values.get(b"cache-control", ())))
    if said in (SHARED, CLOSED):
        return said
    return SHARED if _expires(values, wall_clock, past=not asks) else said


def _by_target(name: bytes, lines: list[bytes]) -> bool:
    """Whether a field for some caches only allows those to store the response."""
    if name == b"x-accel-expires":
        return lines[-1] != b"0"
    if name == b"surrogate-control":
        given = _directives(tuple(lines))[0]
        return b"max-age" in given and b"no-store" not in given
    return _targeted(name) is not None and any(lines) and _by_directives(tuple(lines))[0] is not CLOSED


def _by_directives(lines: tuple[bytes, ...]) -> tuple[CacheScope, bool]:
    """`_judged`, cached for short values."""
    return _cache(lines) if sum(map(len, lines)) <= MAX_CACHED_LENGTH else _judged(lines)


def _judged(lines: tuple[bytes, ...]) -> tuple[CacheScope, bool]:
    """The scope in Cache-Control, and whether a cache always has to revalidate.

    `private="set-cookie"` keeps single fields out of shared caches, not the response (RFC 9111 5.2.2.7). `max-age=0`
    allows a shared cache to store and revalidate the response; beside `no-cache` it is redundant.
    """
    if not lines:
        return SILENT, False
    given, sound = _directives(lines)
    bare = {name for name, arguments in given.items() if sound and b"" in arguments}
    if not bare.isdisjoint((b"no-store", PRIVATE)):
        return CLOSED, False
    asks = b"no-cache" in bare
    explicit = EXPLICIT & given.keys()
    if asks and explicit == {b"max-age"} and all(argument.strip(b'"0') == b"" for argument in given[b"max-age"]):
        return OPEN, True
    return SHARED if explicit else OPEN, asks


_cache = lru_cache(maxsize=MAX_CACHED_VALUES)(_judged)


def _directives(lines: tuple[bytes, ...]) -> tuple[dict[bytes, list[bytes]], bool]:
    """Arguments of directives by lower-case name, empty without one, and whether all quotes are closed."""
    given: dict[bytes, list[bytes]] = {}
    sound = True
    for line in lines:
        parts, closed = split(line)
        sound = sound and closed
        for part in dict.fromkeys(parts):
            name, equals, argument = part.partition(b"=")
            given.setdefault(name.strip(b" \t").lower(), []).append(argument.strip(b" \t") or equals)
    return given, sound


def _expires(values: Values, wall_clock: Callable[[], float], *, past: bool) -> bool:
    """Whether Expires is a date in the future, or with `past` any date: a shared cache may store and revalidate an
    expired response. Other values, such as `0`, mean already expired (RFC 9111 5.3).
    """
    ends = [end for end in map(_date, values.get(b"expires", ())) if end is not None]
    if past or not ends:
        return ends != []
    sent = next((date for date in map(_date, values.get(b"date", ())) if date is not None), None)
    return max(ends) > (wall_clock() if sent is None else sent)


def _date(value: bytes) -> float | None:
    """A date in seconds since the epoch; None for an invalid one."""
    text = value.decode("latin-1")
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            continue
    return None


def missing_names(lines: list[bytes], names: tuple[bytes, ...]) -> list[bytes]:
    """The names missing in the values of Vary; none with `*`."""
    there = {item.strip(b" \t").lower() for line in lines for item in line.split(b",")}
    return [] if b"*" in there else [name for name in names if name.lower() not in there]


def with_directive(plain: bytes, directive: bytes) -> bytes:
    """The lines with a directive added to the last Cache-Control; as a field of its own before all others if a quote is
    not closed, which would hide the directive.
    """
    lines = [value for name, value in split_fields(plain) if name == b"cache-control"]
    if _directives(tuple(lines))[1]:
        return appended(plain, b"cache-control", directive)
    return b"Cache-Control: %b\r\n" % directive + plain


def appended(plain: bytes, name: bytes, text: bytes) -> bytes:
    """The lines with `text` appended to the value of the last field of this lower-case name."""
    lines = plain.split(b"\r\n")[:-1]
    at = max(number for number, line in enumerate(lines) if line.partition(b":")[0].lower() == name)
    start, _, value = lines[at].partition(b":")
    before = value.strip(b" \t")
    joint = b"" if not before else b" " if before.endswith(b",") else b", "
    lines[at] = b"%b: %b%b%b" % (start, before, joint, text)
    return b"\r\n".join(lines) + b"\r\n"
