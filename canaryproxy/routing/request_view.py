"""The view that rules and affinity have of a request: a normalised view of the bytes that are forwarded.

Each part is parsed only when needed: one field at a time, or all fields once. Fields that are not forwarded cannot be
matched: hop-by-hop fields, fields named by `Connection`, and forwarding fields of an untrusted peer. Paths are
normalised (`path`); names and values of the query are percent-decoded, `+` is a space.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from canaryproxy.model.client import Client
from canaryproxy.model.fields import REQUEST_SPECIAL, UNMATCHED, is_x_forwarded, named_by
from canaryproxy.model.forwarded import Address
from canaryproxy.model.head import RequestHead
from canaryproxy.routing.field_scan import FieldNames, cookie_values, field_values, parameters, path_of
from canaryproxy.routing.path import normalise

Values = dict[bytes, tuple[bytes, ...]]
CollectedValues = dict[bytes, list[bytes]]

NO_VALUES: tuple[bytes, ...] = ()

# Cookies that are searched one by one, from the start of the field; more are parsed in one pass.
MAX_SINGLE_LOOKUPS = 3
# Fields in `head.special`, beside all whose names begin with `x-forwarded`.
SPECIAL_FIELDS = frozenset(REQUEST_SPECIAL)

ALL_NAMES = FieldNames(None)


class CachedMatch(Protocol):
    """A computation on the values of a header, cookie or parameter, or on the path, cached per request."""

    @property
    def subject(self) -> str:
        """header, cookie, query or path."""

    @property
    def name(self) -> bytes:
        """The name of the header, cookie or parameter."""

    def matched(self, values: Sequence[bytes]) -> AbstractSet[Any]:
        """The result for these values."""


class RequestView:
    """One request and its client."""

    def __init__(self, head: RequestHead, client: Client) -> None:
        self.begin(head, client)

    def begin(self, head: RequestHead, client: Client) -> None:
        """Start with a request. Separate from `__init__` so that compiled code passes no Python tuple of arguments."""
        self.client = client
        self.method = head.method
        self._head = head
        self._path: bytes | None = None
        self._last_name = b""
        self._last_values = NO_VALUES
        self._headers: Values | None = None
        self._cookies: Values | None = None
        self._query: Values | None = None
        self._expected: FieldNames | None = None
        self._matches: dict[CachedMatch, AbstractSet[Any]] | None = None
        self._searches = 0

    def __repr__(self) -> str:
        return f"<RequestView {self._head!r} from {self.client!r}>"

    def values(self, subject: str, name: bytes) -> tuple[bytes, ...]:
        """The values of a header, cookie or query parameter by name, or the path or method, as `subject` says."""
        if subject == "header":
            return self.header(name)
        if subject == "path":
            return (self.path(),)
        if subject == "method":
            return (self.method,)
        return self.cookie(name) if subject == "cookie" else self.query().get(name, NO_VALUES)

    def expect_cookies(self, cookies: FieldNames) -> None:
        """Announce many cookies that will be requested: they are parsed in one pass."""
        if self._cookies is None:
            self._expected = cookies

    def cached_match(self, what: CachedMatch) -> AbstractSet[Any]:
        """The result of a computation, cached for all rules."""
        found = self._matches
        if found is None:
            found = self._matches = {}
        result = found.get(what)
        if result is None:
            result = found[what] = what.matched(self.values(what.subject, what.name))
        return result

    def all_values(self, subject: str) -> Values:
        """The values of all headers, cookies (or of the expected ones) or parameters, by name."""
        if subject == "header":
            return self.headers()
        return self.cookies() if subject == "cookie" else self.query()

    def path(self) -> bytes:
        """The normalised path."""
        path = self._path
        if path is None:
            path = self._path = normalise(path_of(self._head.target))
        return path

    def header(self, name: bytes) -> tuple[bytes, ...]:
        """The values of a field, by its lower-case name, without outer white space, in their order."""
        if name == self._last_name:
            return self._last_values
        head = self._head
        if head.special and (name in SPECIAL_FIELDS or is_x_forwarded(name) or self._may_hide(head.special)):
            values = self.headers().get(name, NO_VALUES)
        elif name == b"host" and head.host is not None:
            values = (head.host,)
        else:
            values = field_values(head.plain, name)
        self._last_name, self._last_values = name, values
        return values

    def cookie(self, name: bytes) -> tuple[bytes, ...]:
        """The values of a cookie, without surrounding quotes (RFC 6265 4.1.1)."""
        if self._cookies is None and self._expected is None and self._searches < MAX_SINGLE_LOOKUPS:
            self._searches += 1
        elif self._expected is None or name in self._expected:
            return self.cookies().get(name, NO_VALUES)
        elif self._searches < MAX_SINGLE_LOOKUPS:
            self._searches += 1
        else:
            self._expected = self._cookies = None
            return self.cookies().get(name, NO_VALUES)
        fields = self.header(b"cookie")
        if len(fields) == 1:
            return cookie_values(fields[0], name)
        return tuple([value for field in fields for value in cookie_values(field, name)])

    def headers(self) -> Values:
        """Values of all fields, by lower-case name."""
        found = self._headers
        if found is None:
            head = self._head
            collected: CollectedValues = {}
            for line in head.plain.split(b"\r\n")[:-1]:
                name, _, value = line.partition(b":")
                collected.setdefault(name.lower(), []).append(value.strip(b" \t"))
            if head.host is not None:
                collected[b"host"] = [head.host]
            if head.special:
                self._add_special(collected)
            found = self._headers = {name: tuple(values) for name, values in collected.items()}
        return found

    def _may_hide(self, special: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether `Connection` may name an otherwise plain field."""
        for name, value in special:  # noqa: SIM110 - hot, and a loop needs no generator
            if name == b"connection" and value not in {b"keep-alive", b"close"}:
                return True
        return False

    def _add_special(self, found: CollectedValues) -> None:
        client = self.client
        connection = []
        for name, value in self._head.special:
            if name == b"connection":
                connection.append(value)
            elif name in UNMATCHED or name == b"host":
                continue
            elif client.forwarding.passes(name, trusted=client.trusted):
                found.setdefault(name, []).append(value)
        for name in named_by(connection):
            found.pop(name, None)

    def cookies(self) -> Values:
        """Values of all cookies, or of the expected ones, by name."""
        found = self._cookies
        if found is None:
            expected = self._expected
            found = self._cookies = (ALL_NAMES if expected is None else expected).cookies(self.header(b"cookie"))
        return found

    def query(self) -> Values:
        """Decoded values of the query by decoded name; a name without `=` has an empty value."""
        found = self._query
        if found is None:
            found = self._query = parameters(self._head.target)
        return found

    def source(self) -> Address | None:
        """The client's address: the first hop from the right that is not a trusted proxy."""
        return self.client.source(self._head.special)

    def secure(self) -> bool:
        """Whether the client uses https, to us or to a trusted proxy."""
        return self.client.secure(self._head.special)
