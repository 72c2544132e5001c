"""What rules and affinity may know of a request: one normalised view of the bytes that are forwarded.

Each part is read at most once, and only when somebody asks. A field that is not passed on cannot be matched:
hop-by-hop ones, those that `Connection` names, and forwarding fields of a peer that is not trusted. Paths
are compared as `path` spells them; names and values of the query are percent-decoded, `+` is a space.
"""

from functools import cached_property
from urllib.parse import unquote_to_bytes

from canaryproxy.model.client import Address, Client
from canaryproxy.model.fields import FROM_TRUSTED, UNMATCHED, named_by
from canaryproxy.model.message import RequestHead
from canaryproxy.routing.path import normalise

Values = dict[bytes, list[bytes]]


class Facts:
    """One request and who sent it."""

    def __init__(self, head: RequestHead, client: Client) -> None:
        self.client = client
        self.method = head.method
        self._head = head

    def __repr__(self) -> str:
        return f"<Facts {self._head!r} from {self.client!r}>"

    @cached_property
    def path(self) -> bytes:
        """The path in the spelling that is matched."""
        return normalise(self._head.target.partition(b"?")[0])

    @cached_property
    def headers(self) -> Values:
        """Values by lower-case name, without outer white space, in their order."""
        head = self._head
        found: Values = {}
        for line in head.plain.split(b"\r\n"):
            name, _, value = line.partition(b":")
            found.setdefault(name.lower(), []).append(value.strip(b" \t"))
        del found[b""]
        if head.host is not None:
            found[b"host"] = [head.host]
        if head.special:
            self._add_special(found)
        return found

    def _add_special(self, found: Values) -> None:
        hidden = UNMATCHED if self.client.trusted else UNMATCHED | FROM_TRUSTED
        connection = []
        for name, value in self._head.special:
            if name == b"connection":
                connection.append(value)
            elif name not in hidden and name != b"host":
                found.setdefault(name, []).append(value)
        for name in named_by(connection):
            found.pop(name, None)

    @cached_property
    def cookies(self) -> Values:
        """Values by name, without surrounding quotes (RFC 6265 4.1.1)."""
        found: Values = {}
        for field in self.headers.get(b"cookie", ()):
            for pair in field.split(b";"):
                name, equals, value = pair.partition(b"=")
                if equals:
                    found.setdefault(name.strip(b" \t"), []).append(_unquoted(value.strip(b" \t")))
        return found

    @cached_property
    def query(self) -> Values:
        """Decoded values by decoded name; a name without `=` has an empty value."""
        found: Values = {}
        for pair in self._head.target.partition(b"?")[2].split(b"&"):
            if pair:
                name, _, value = pair.partition(b"=")
                found.setdefault(_decoded(name), []).append(_decoded(value))
        return found

    @cached_property
    def source(self) -> Address | None:
        """The client's address: the first hop from the right that is not a trusted proxy."""
        hops = [value for name, value in self._head.special if name == b"x-forwarded-for"]
        return self.client.source(hops)

    @cached_property
    def secure(self) -> bool:
        """Whether the client speaks https, to us or to a trusted proxy before us."""
        if not self.client.trusted:
            return self.client.scheme == b"https"
        told = [value for name, value in self._head.special if name == b"x-forwarded-proto"]
        first = told[0].partition(b",")[0].strip(b" \t").lower() if told else self.client.scheme
        return first == b"https"


def _unquoted(value: bytes) -> bytes:
    return value[1:-1] if len(value) > 1 and value[:1] == b'"' == value[-1:] else value


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" ")) if b"%" in text or b"+" in text else text
