"""One hop to the next: what is taken out of a head, what is put in, and the bytes that go on.

Fields of the hop that ends here are removed (RFC 9110 7.6.1), framing is written anew from what was
parsed, `Via` and the forwarding fields are added. Whatever a client names in Connection, it can neither
delete the fields that the next server's safety rests on nor keep those that we set.
"""

import re
from collections.abc import Sequence

from canaryproxy.model.client import Client
from canaryproxy.model.failure import Failure, Refused
from canaryproxy.model.fields import FROM_TRUSTED, list_items, named_by
from canaryproxy.model.message import Body, RequestHead, ResponseHead
from canaryproxy.model.settings import Network

try:
    from canaryproxy.http1.gluing import decimal, joined
except ImportError:
    from canaryproxy.http1.pieces import decimal, joined

DROPPED = {
    b"content-length", b"host", b"http2-settings", b"keep-alive", b"proxy-authenticate",
    b"proxy-authentication-info", b"proxy-authorization", b"proxy-connection", b"transfer-encoding", b"upgrade",
    b"x-canary-mirror", b"x-canary-rescue", b"x-canary-version",
}  # fmt: skip

ROUTINE_OPTIONS = (b"keep-alive", b"close")

NO_BODY, LENGTH, CHUNKED = Body.NONE, Body.LENGTH, Body.CHUNKED

CRLF = b"\r\n"
CONTENT_LENGTH = b"Content-Length: "
FORWARDED_HOST = b"X-Forwarded-Host: "
REQUEST_ID = b"\r\nX-Request-Id: "

LOW_DIGITS = 3
LOW_BITS = (1 << 4 * LOW_DIGITS) - 1
LOW = tuple(b"%03x" % low for low in range(LOW_BITS + 1))
"""The last digits of request ids; the others are written anew when these have come round."""

sane_request_id = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}").fullmatch


class Peer(Client):
    """A client connection as the next hop is told of it."""

    __slots__ = ("fixed", "ours")

    def __init__(self, address: str, scheme: bytes, networks: Sequence[Network], via: tuple[bytes, bytes]) -> None:
        super().__init__(address, scheme, networks)
        self.fixed = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (self.address, scheme)
        self.ours = tuple(self.fixed + field for field in via)


class Hops:
    """Rewrites heads for one instance. `identity` is its pseudonym in Via. Request ids are `seed`, a random
    number below 2^64 that no other instance has, and a serial number.
    """

    __slots__ = ("_high", "_identity", "_reason", "_seed", "_serial", "_status", "_status_line", "_via", "_via_field")

    def __init__(self, identity: str, seed: int) -> None:
        self._identity = identity.encode("ascii")
        self._seed = b"%016x" % seed
        self._serial = 0
        self._high = b""
        self._status = 0
        self._reason = self._status_line = b""
        self._via = (b"1.0 " + self._identity, b"1.1 " + self._identity)
        self._via_field = (b"Via: %b\r\n" % self._via[0], b"Via: %b\r\n" % self._via[1])

    def peer(self, address: str, scheme: bytes = b"http", trusted: Sequence[Network] = ()) -> Peer:
        """What to say about a client; made once per connection. `trusted` are the networks of known proxies."""
        return Peer(address, scheme, trusted, self._via_field)

    def request(
        self, head: RequestHead, peer: Peer, authority: bytes, version: bytes | None,
        upgrade: bytes = b"", request_id: bytes = b"",
    ) -> bytes:  # fmt: skip
        """The head for the upstream, ready to send.

        `authority` stands in for the Host that an HTTP/1.0 request may lack; `version` is told to the
        upstream if not None. `upgrade` is the protocol that the connection may switch to; `request_id` the one
        that the request had on an earlier attempt. Raises `Refused(LOOP)` when the request has passed this
        instance before.
        """
        host = head.host or authority
        for name, value in head.special:
            if name not in DROPPED and (name != b"connection" or value.lower() not in ROUTINE_OPTIONS):
                plain, ours = self._unusual(head, peer, host)
                break
        else:
            plain = head.plain
            low = self._count()
            ours = joined((peer.ours[head.minor], FORWARDED_HOST, host, REQUEST_ID, self._high, low, CRLF))
        if head.body is LENGTH:
            ours = joined((ours, CONTENT_LENGTH, decimal(head.length), CRLF))
        elif head.body is CHUNKED:
            ours += b"Transfer-Encoding: chunked\r\n"
        if upgrade:
            ours = b"%bConnection: Upgrade\r\nUpgrade: %b\r\n" % (ours, upgrade)
        if version is not None:
            ours = b"%bX-Canary-Version: %b\r\n" % (ours, version)
        if request_id:
            ours = ours.replace(REQUEST_ID + request_id_of(ours), REQUEST_ID + request_id)
        return joined((head.method, b" ", head.target, b" HTTP/1.1\r\nHost: ", host, CRLF, plain, ours, CRLF))

    def _unusual(self, head: RequestHead, peer: Peer, host: bytes) -> tuple[bytes, bytes]:
        """Plain lines that stay and our own lines, for a head with more than routine special fields."""
        values: dict[bytes, list[bytes]] = {}
        for name, value in head.special:
            values.setdefault(name, []).append(value)
        lines = self._forwarded(values, peer, host)
        lines.append(b"Via: " + b", ".join([*self._check_loop(values), self._via[head.minor]]))
        lines.append(b"X-Request-Id: " + self._request_id(values))
        if any(b"trailers" in list_items(value.lower()) for value in values.get(b"te", ())):
            lines.append(b"TE: trailers\r\nConnection: TE")
        if head.body is CHUNKED:
            lines += [b"Trailer: " + value for value in values.get(b"trailer", ())]
        if head.minor and b"expect" in values:
            lines.append(b"Expect: 100-continue")
        lines += [b"Max-Forwards: " + self._max_forwards(head, value) for value in values.get(b"max-forwards", ())]
        return without(head.plain, values.get(b"connection", [])), b"\r\n".join(lines) + b"\r\n"

    def _check_loop(self, values: dict[bytes, list[bytes]]) -> list[bytes]:
        via = values.get(b"via", [])
        if any(self._identity in value for value in via):
            raise Refused(Failure.LOOP, "the request has passed this instance before")
        return via

    def _request_id(self, values: dict[bytes, list[bytes]]) -> bytes:
        given = values.get(b"x-request-id", ())
        if len(given) == 1 and sane_request_id(given[0]):
            return given[0]
        return self._next_id()

    def _next_id(self) -> bytes:
        low = self._count()
        return self._high + low

    def _count(self) -> bytes:
        """The last digits of the next request id; `_high` are all before them."""
        serial = self._serial = self._serial + 1
        low = serial & LOW_BITS
        if not low or not self._high:
            self._high = b"%b-%x" % (self._seed, serial >> LOW_DIGITS * 4)
        return LOW[low]

    @staticmethod
    def _max_forwards(head: RequestHead, value: bytes) -> bytes:
        if head.method == b"OPTIONS" and value.isdigit() and len(value) < 10:
            return b"%d" % max(int(value) - 1, 0)
        return value

    @staticmethod
    def _forwarded(values: dict[bytes, list[bytes]], peer: Peer, host: bytes) -> list[bytes]:
        """X-Forwarded-* and Forwarded: replaced for a stranger, continued for a trusted proxy."""
        if not peer.trusted:
            return [peer.fixed + b"X-Forwarded-Host: " + host]
        lines = [
            b"X-Forwarded-For: " + b", ".join([*values.get(b"x-forwarded-for", ()), peer.address]),
            b"X-Forwarded-Proto: " + b", ".join(values.get(b"x-forwarded-proto", (peer.scheme,))),
            b"X-Forwarded-Host: " + b", ".join(values.get(b"x-forwarded-host", (host,))),
        ]
        if b"forwarded" in values:
            node = b'"[%b]"' % peer.address if b":" in peer.address else peer.address
            lines.append(b"Forwarded: " + b", ".join([*values[b"forwarded"], b"for=" + node]))
        for name in FROM_TRUSTED.intersection(values).difference(
            (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"forwarded")
        ):
            lines += [name.title() + b": " + value for value in values[name]]
        return lines

    def response(self, head: ResponseHead, request: RequestHead, extra: bytes, close: bool, body: bytes = b"") -> bytes:
        """The head for the client with a `body` behind it, ready to send; `extra` are lines of ours, `close` announces
        the end of its connection.

        A response without a length is chunked for HTTP/1.1 and ends with the connection for HTTP/1.0.
        """
        plain = head.plain
        ours = self._via_field[head.minor]
        if head.special:
            plain, ours = self._unusual_response(head, request, ours)
        if head.status >= 200:
            if head.length >= 0:
                ours = joined((ours, CONTENT_LENGTH, decimal(head.length), CRLF))
            elif head.body is not NO_BODY and request.minor:
                ours += b"Transfer-Encoding: chunked\r\n"
            if close:
                ours += b"Connection: close\r\n"
            elif not request.minor:
                ours += b"Connection: keep-alive\r\n"
        if head.status != self._status or head.reason is not self._reason:
            self._status, self._reason = head.status, head.reason
            self._status_line = b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)
        return joined((self._status_line, plain, ours, extra, CRLF, body))

    @staticmethod
    def _unusual_response(head: ResponseHead, request: RequestHead, via: bytes) -> tuple[bytes, bytes]:
        """Plain lines that stay and our own lines, for a head with special fields."""
        plain, trailer = head.plain, b""
        for name, value in head.special:
            if name == b"connection":
                plain = without(plain, [value])
            elif name == b"via":
                via = b"Via: %b, %b" % (value, via[5:])
            elif name == b"upgrade":
                via += b"Connection: Upgrade\r\nUpgrade: %b\r\n" % value
            elif name == b"trailer" and head.body is CHUNKED and request.minor:
                trailer += b"Trailer: %b\r\n" % value
        return plain, via + trailer


def request_id_of(head: bytes) -> bytes:
    """The request id in a head for the upstream, or in the part of it that is ours."""
    return head.partition(REQUEST_ID)[2].partition(b"\r\n")[0]


def without(plain: bytes, connection: list[bytes]) -> bytes:
    """The plain lines that no value of Connection names, protected names kept."""
    named = named_by(connection)
    if not named:
        return plain
    lines = plain.split(b"\r\n")[:-1]
    return b"".join([line + b"\r\n" for line in lines if line.partition(b":")[0].lower() not in named])
