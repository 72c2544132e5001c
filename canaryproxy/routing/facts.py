"""What rules and affinity may know of a request: one normalised view of the bytes that are forwarded.

Each part is read only when somebody asks: one field at a time, or all at once and then once. A field that is not passed
on cannot be matched: hop-by-hop ones, those that `Connection` names, and forwarding fields of a peer that is not
trusted. Paths are compared as `path` spells them; names and values of the query are percent-decoded, `+` is a space.
"""

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from canaryproxy.model.client import Client
from canaryproxy.model.fields import FORWARDING, HOP_BY_HOP, UNMATCHED, is_x_forwarded, named_by
from canaryproxy.model.forwarded import Address
from canaryproxy.model.message import RequestHead
from canaryproxy.routing.lookup import unquoted
from canaryproxy.routing.path import normalise

try:
    from canaryproxy.routing.seek import cookie_values, field_values, path_of
except ImportError:
    from canaryproxy.routing.lookup import cookie_values, field_values, path_of

Values = dict[bytes, tuple[bytes, ...]]
Gathered = dict[bytes, list[bytes]]

NONE: tuple[bytes, ...] = ()
SPECIAL = frozenset((*FORWARDING, *HOP_BY_HOP, b"content-length", b"expect", b"host", b"max-forwards"))
"""Fields that a head keeps apart from its plain lines, beside all whose names begin with `x-forwarded`."""


class Facts:
    """One request and who sent it."""

    __slots__ = ("_asked", "_cookies", "_head", "_headers", "_path", "_query", "_told", "client", "method")

    def __init__(self, head: RequestHead, client: Client) -> None:
        self.begin(head, client)

    def begin(self, head: RequestHead, client: Client) -> None:
        """Know nothing yet. Apart from `__init__` so that compiled code needs no arguments as Python objects."""
        self.client = client
        self.method = head.method
        self._head = head
        self._path: bytes | None = None
        self._asked = b""
        self._told = NONE
        self._headers: Values | None = None
        self._cookies: Values | None = None
        self._query: Values | None = None

    def __repr__(self) -> str:
        return f"<Facts {self._head!r} from {self.client!r}>"

    def values(self, subject: str, name: bytes) -> tuple[bytes, ...]:
        """The values of a header, cookie or parameter of the query, as `subject` says, by its name."""
        if subject == "header":
            return self.header(name)
        return self.cookie(name) if subject == "cookie" else self.query().get(name, NONE)

    def everything(self, subject: str) -> Values:
        """The values of all headers, cookies or parameters, by name."""
        if subject == "header":
            return self.headers()
        return self.cookies() if subject == "cookie" else self.query()

    def path(self) -> bytes:
        """The path in the spelling that is matched."""
        path = self._path
        if path is None:
            path = self._path = normalise(path_of(self._head.target))
        return path

    def header(self, name: bytes) -> tuple[bytes, ...]:
        """The values of a field, by its lower-case name, without outer white space, in their order."""
        if name == self._asked:
            return self._told
        head = self._head
        if head.special and (name in SPECIAL or is_x_forwarded(name) or self._hides(head.special)):
            values = self.headers().get(name, NONE)
        elif name == b"host" and head.host is not None:
            values = (head.host,)
        else:
            values = field_values(head.plain, name)
        self._asked, self._told = name, values
        return values

    def cookie(self, name: bytes) -> tuple[bytes, ...]:
        """The values of a cookie, without surrounding quotes (RFC 6265 4.1.1)."""
        if self._cookies is not None:
            return self._cookies.get(name, NONE)
        fields = self.header(b"cookie")
        if len(fields) == 1:
            return cookie_values(fields[0], name)
        return tuple([value for field in fields for value in cookie_values(field, name)])

    def headers(self) -> Values:
        """Values of all fields, by lower-case name."""
        found = self._headers
        if found is None:
            head = self._head
            gathered: Gathered = {}
            for line in head.plain.split(b"\r\n")[:-1]:
                name, _, value = line.partition(b":")
                gathered.setdefault(name.lower(), []).append(value.strip(b" \t"))
            if head.host is not None:
                gathered[b"host"] = [head.host]
            if head.special:
                self._add_special(gathered)
            found = self._headers = _settled(gathered)
        return found

    def _hides(self, special: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether `Connection` may name a field that is plain otherwise."""
        for name, value in special:  # noqa: SIM110 - hot, and a loop needs no generator
            if name == b"connection" and value not in {b"keep-alive", b"close"}:
                return True
        return False

    def _add_special(self, found: Gathered) -> None:
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
        """Values of all cookies, by name."""
        found = self._cookies
        if found is None:
            gathered: Gathered = {}
            for field in self.header(b"cookie"):
                for pair in field.split(b";"):
                    name, equals, value = pair.partition(b"=")
                    if equals:
                        gathered.setdefault(name.strip(b" \t"), []).append(unquoted(value.strip(b" \t")))
            found = self._cookies = _settled(gathered)
        return found

    def query(self) -> Values:
        """Decoded values by decoded name; a name without `=` has an empty value."""
        found = self._query
        if found is None:
            gathered: Gathered = {}
            for pair in self._head.target.partition(b"?")[2].split(b"&"):
                if pair:
                    name, _, value = pair.partition(b"=")
                    gathered.setdefault(_decoded(name), []).append(_decoded(value))
            found = self._query = _settled(gathered)
        return found

    def source(self) -> Address | None:
        """The client's address: the first hop from the right that is not a trusted proxy."""
        return self.client.source(self._head.special)

    def secure(self) -> bool:
        """Whether the client speaks https, to us or to a trusted proxy before us."""
        return self.client.secure(self._head.special)


def _settled(gathered: Gathered) -> Values:
    return {name: tuple(values) for name, values in gathered.items()}


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" ")) if b"%" in text or b"+" in text else text
