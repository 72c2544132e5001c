"""What we say to caches between us and the client about an answer: who may store it, and what it depends on (RFC 9111).

An affinity cookie must not be stored for others, and a shared cache must not give one version's answer to clients of
the other. Directives and names are added to what the origin sent, never taken away. Expiry that the origin states
beside no `private` and no `no-store` is for shared caches, too: such an answer gets neither the cookie nor
`Vary: Cookie` unless the config asks for them, since a cache has no hits then.
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
EXPLICIT = {b"public", b"s-maxage", b"immutable", b"max-age"}
"""Directives that let a shared cache store an answer, or say for how long, whatever their values are."""

MAX_CACHED_VALUES = 1024
MAX_CACHED_LENGTH = 512
"""Values of Cache-Control that are remembered: an origin sends few."""

Values = dict[bytes, list[bytes]]

_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
"""RFC 9110 5.6.7: the one to write, and two to understand."""

_targeted = re.compile(rb"(?:[a-z0-9-]+-)?cdn-cache-control").fullmatch
"""RFC 9213: Cache-Control for some caches alone, which then ignore the other one."""


class CacheScope(IntEnum):
    """What an origin says about storing its answer: nothing; something, but neither who nor how long; that no shared
    cache may; that one may, or for how long.
    """

    SILENT = 0
    OPEN = 1
    CLOSED = 2
    SHARED = 3


SILENT, OPEN, CLOSED, SHARED = CacheScope


class CacheAdvisor:
    """What is added to the answers of one route. `names` are the request fields that any of its decisions may depend
    on, as long as both versions can be reached.
    """

    def __init__(self, names: tuple[bytes, ...], asked: table.Caching) -> None:
        self._asked = asked
        self._names = names
        self._without_cookie = tuple([name for name in names if name != COOKIE])
        self.vary = b"Vary: %b\r\n" % b", ".join(names) if names else b""
        self._private = b"Cache-Control: private\r\n" + self.vary

    def __repr__(self) -> str:
        return f"<CacheAdvisor {self.vary!r}>"

    def lines(self, head: ResponseHead, cookie: bytes, wall_clock: Callable[[], float]) -> bytes:
        """Lines of ours for the final head of an answer, whose plain lines may change. `cookie` is the line that gives
        the client its affinity cookie, empty if it has one; `wall_clock` tells seconds since the epoch.
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
    """What an answer's fields, values by lower-case name, say about storing it."""
    if any(_by_target(name, lines) for name, lines in values.items()):
        return SHARED
    said, asks = _by_directives(tuple(values.get(b"cache-control", ())))
    if said in (SHARED, CLOSED):
        return said
    return SHARED if _expires(values, wall_clock, past=not asks) else said


def _by_target(name: bytes, lines: list[bytes]) -> bool:
    """Whether a field for some caches alone lets those store the answer."""
    if name == b"x-accel-expires":
        return lines[-1] != b"0"
    if name == b"surrogate-control":
        given = _directives(tuple(lines))[0]
        return b"max-age" in given and b"no-store" not in given
    return _targeted(name) is not None and any(lines) and _by_directives(tuple(lines))[0] is not CLOSED


def _by_directives(lines: tuple[bytes, ...]) -> tuple[CacheScope, bool]:
    """What Cache-Control says, and whether a cache always asks the origin first. Remembered, unless it is long."""
    return _cache(lines) if sum(map(len, lines)) <= MAX_CACHED_LENGTH else _judged(lines)


def _judged(lines: tuple[bytes, ...]) -> tuple[CacheScope, bool]:
    """What Cache-Control says, and whether a cache always has to ask the origin first.

    `private="set-cookie"` keeps single fields out of shared caches, not the answer (RFC 9111 5.2.2.7). `max-age=0`
    lets a shared cache store the answer and use it once it has asked; beside `no-cache` it only says that again.
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
    """Arguments of directives by name in lower case, empty where there is none, and whether all quotes are closed."""
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
    """Whether Expires says when the answer expires; `past`: also one that has expired already counts, which a shared
    cache may store and use once it has asked. What is no date, as `0` or `-1`, gives no answer any life
    (RFC 9111 5.3).
    """
    ends = [end for end in map(_date, values.get(b"expires", ())) if end is not None]
    if past or not ends:
        return ends != []
    sent = next((date for date in map(_date, values.get(b"date", ())) if date is not None), None)
    return max(ends) > (wall_clock() if sent is None else sent)


def _date(value: bytes) -> float | None:
    """Seconds since the epoch; None for what is no date."""
    text = value.decode("latin-1")
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            continue
    return None


def missing_names(lines: list[bytes], names: tuple[bytes, ...]) -> list[bytes]:
    """Which names the values of Vary do not have. `*` has all."""
    there = {item.strip(b" \t").lower() for line in lines for item in line.split(b",")}
    return [] if b"*" in there else [name for name in names if name.lower() not in there]


def with_directive(plain: bytes, directive: bytes) -> bytes:
    """The lines with one more directive in the last Cache-Control; before all others where a quote is never closed,
    which would hide it.
    """
    lines = [value for name, value in split_fields(plain) if name == b"cache-control"]
    if _directives(tuple(lines))[1]:
        return appended(plain, b"cache-control", directive)
    return b"Cache-Control: %b\r\n" % directive + plain


def appended(plain: bytes, name: bytes, text: bytes) -> bytes:
    """The lines with `text` behind the value of the last field of this lower-case name."""
    lines = plain.split(b"\r\n")[:-1]
    at = max(number for number, line in enumerate(lines) if line.partition(b":")[0].lower() == name)
    start, _, value = lines[at].partition(b":")
    before = value.strip(b" \t")
    joint = b"" if not before else b" " if before.endswith(b",") else b", "
    lines[at] = b"%b: %b%b%b" % (start, before, joint, text)
    return b"\r\n".join(lines) + b"\r\n"
