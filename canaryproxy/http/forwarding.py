"""Rewrites heads from one hop to the next: removed fields, added fields, and the bytes to send.

Hop-by-hop fields are removed (RFC 9110 7.6.1), framing is rewritten from the parsed head, `Via` and the forwarding
fields are added. A client's Connection field can neither remove protected fields nor keep the fields that we set.
"""

import re
from collections.abc import Sequence

from canaryproxy.http.h1 import grammar
from canaryproxy.http.h1.byte_ops import concat, itoa
from canaryproxy.model.client import FORWARDING, Client
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.fields import HOP_BY_HOP, is_x_forwarded, list_items, named_by
from canaryproxy.model.forwarded import Forwarding, sound
from canaryproxy.model.head import Body, RequestHead, ResponseHead
from canaryproxy.model.settings import Network

OWN_FIELDS = (b"x-canary-mirror", b"x-canary-rescue", b"x-canary-version")
REWRITTEN = {b"connection", b"te", b"trailer"}
# Special fields that never need more than to be dropped.
DROPPED = {*HOP_BY_HOP, b"content-length", b"host", b"proxy-authentication-info", *OWN_FIELDS} - REWRITTEN

ROUTINE_OPTIONS = (b"keep-alive", b"close")

NO_BODY, LENGTH, STREAM = Body.NONE, Body.LENGTH, Body.STREAM

CRLF = b"\r\n"
CONTENT_LENGTH = b"Content-Length: "
FORWARDED_HOST = b"X-Forwarded-Host: "
REQUEST_ID = b"X-Request-Id: "

# Forwarding fields that we write in any case.
OWN_FORWARDING_FIELDS = {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"forwarded"}

# Fields outside of the two families that only a trusted proxy may send.
OTHER_FORWARDING = (b"x-canary-mirror", b"x-real-ip")

LOW_DIGITS = 3
LOW_BITS = (1 << 4 * LOW_DIGITS) - 1
# All values of the last digits of request ids: the digits before them change once in 4,096 requests.
LOW = tuple(b"%03x" % low for low in range(LOW_BITS + 1))

sane_request_id = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}").fullmatch


class ForwardedClient(Client):
    """A client connection with the forwarding fields that describe it to the next hop."""

    def __init__(
        self,
        address: str,
        scheme: bytes,
        networks: Sequence[Network],
        via: tuple[bytes, ...],
        forwarding: Forwarding,
    ) -> None:
        super().__init__(address, scheme, networks, forwarding)
        self.custom_fields = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (self.address, scheme)
        self.added_fields = tuple(self.custom_fields + field for field in via)
        node = b'"[%b]"' % self.address if b":" in self.address else self.address
        self.forwarded_node = b"for=%b;proto=%b;host=" % (node, scheme) if forwarding.standard else b""

    def forwarded_element(self, host: bytes) -> bytes:
        """The element of `Forwarded` for this hop; `host` is the requested host."""
        return self.forwarded_node + (host if grammar.token(host) else b'"%b"' % host)


class HeadRewriter:
    """Rewrites heads for one instance. `identity` is its pseudonym in Via. Request ids consist of `seed`, a random
    number below 2^64, and a serial number. `request_id_line` is the line with the id of the last request.
    """

    def __init__(self, identity: str, seed: int) -> None:
        self._identity = identity.encode("ascii")
        self._seed = b"%016x" % seed
        self._serial = 0
        self._high_digits = b""
        self.request_id_line = b""
        self._status = 0
        self._reason = self._status_line = b""
        self._via = tuple([version + self._identity for version in (b"1.0 ", b"1.1 ", b"2.0 ")])
        self._via_field = tuple([b"Via: %b\r\n" % via for via in self._via])

    @property
    def identity(self) -> str:
        """The instance's pseudonym."""
        return self._identity.decode("ascii")

    def client_for(
        self,
        address: str,
        scheme: bytes = b"http",
        trusted: Sequence[Network] = (),
        forwarding: Forwarding = FORWARDING,
    ) -> ForwardedClient:
        """The forwarding fields of a client, made once per connection. `trusted` are the networks of proxies whose
        `forwarding` fields are read.
        """
        return ForwardedClient(address, scheme, trusted, self._via_field[:2], forwarding)

    def request(
        self,
        head: RequestHead,
        peer: ForwardedClient,
        authority: bytes,
        version: bytes | None,
        upgrade: bytes = b"",
        request_id_line: bytes = b"",
    ) -> tuple[bytes, bytes, bytes, bytes]:
        """The parts of the upstream's request head in any protocol: the host, the remaining lines of the client, our
        lines, and the last lines. Sets `self.request_id_line`.

        `authority` replaces the Host that an HTTP/1.0 request may lack; `version` is sent to the upstream if not None.
        `upgrade` are the protocols that the connection may switch to; `request_id_line` is that of an earlier attempt.
        Raises `RequestRejectedError` with LOOP if the request has passed this instance before.
        """
        host = head.host or authority
        last = b""
        for name, value in head.special:
            if name not in DROPPED and (name != b"connection" or value.lower() not in ROUTINE_OPTIONS):
                plain, ours = self._rewrite_unusual(head, peer, host)
                self.request_id_line = request_id_line or self.request_id(head)
                ours = concat((ours, self.request_id_line))
                break
        else:
            plain = head.plain
            line = self.request_id_line = request_id_line or self._new_line()
            ours = concat((peer.added_fields[head.version - 10], FORWARDED_HOST, host, CRLF, line))
            if peer.forwarded_node:
                ours = b"%bForwarded: %b\r\n" % (ours, peer.forwarded_element(host))
        if upgrade:
            last = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % upgrade
        if version is not None:
            last = b"%bX-Canary-Version: %b\r\n" % (last, version)
        return host, plain, ours, last

    def _rewrite_unusual(self, head: RequestHead, peer: ForwardedClient, host: bytes) -> tuple[bytes, bytes]:
        """The remaining plain lines and our lines, for a head with more than routine special fields."""
        values: dict[bytes, list[bytes]] = {}
        for name, value in head.special:
            values.setdefault(name, []).append(value)
        lines = self._forwarded(values, head, peer, host)
        lines.append(b"Via: " + b", ".join([*self._check_loop(values), self._via[min(head.version - 10, 2)]]))
        if any(b"trailers" in list_items(value.lower()) for value in values.get(b"te", ())):
            lines.append(b"TE: trailers\r\nConnection: TE")
        if head.body is STREAM:
            lines += [b"Trailer: " + value for value in values.get(b"trailer", ())]
        if head.version != 10 and b"expect" in values:
            lines.append(b"Expect: 100-continue")
        lines += [b"Max-Forwards: " + self._max_forwards(head, value) for value in values.get(b"max-forwards", ())]
        return without(head.plain, values.get(b"connection", [])), b"\r\n".join(lines) + b"\r\n"

    def _check_loop(self, values: dict[bytes, list[bytes]]) -> list[bytes]:
        via = values.get(b"via", [])
        if any(self._identity in value for value in via):
            raise RequestRejectedError(Failure.LOOP, "the request has passed this instance before")
        return via

    def request_id(self, head: RequestHead | None) -> bytes:
        """The line with the id of a request: its own, if that is a single valid one, else a new one. `head` is None for
        a request that could not be parsed.
        """
        given = () if head is None else [value for name, value in head.special if name == b"x-request-id"]
        if len(given) == 1 and sane_request_id(given[0]):
            return b"%b%b\r\n" % (REQUEST_ID, given[0])
        return self._new_line()

    def _new_line(self) -> bytes:
        low = self._count()
        return concat((REQUEST_ID, self._high_digits, low, CRLF))

    def _count(self) -> bytes:
        """The last digits of the next request id; `_high_digits` are the digits before them."""
        serial = self._serial = self._serial + 1
        low = serial & LOW_BITS
        if not low or not self._high_digits:
            self._high_digits = b"%b-%x" % (self._seed, serial >> LOW_DIGITS * 4)
        return LOW[low]

    @staticmethod
    def _max_forwards(head: RequestHead, value: bytes) -> bytes:
        if head.method == b"OPTIONS" and value.isdigit() and len(value) < 10:
            return b"%d" % max(int(value) - 1, 0)
        return value

    @staticmethod
    def _forwarded(
        values: dict[bytes, list[bytes]], head: RequestHead, peer: ForwardedClient, host: bytes
    ) -> list[bytes]:
        """X-Forwarded-* and Forwarded: replaced for an untrusted peer, continued for a trusted proxy in its family."""
        forwarding = peer.forwarding
        if not peer.trusted:
            lines = [peer.custom_fields + FORWARDED_HOST + host]
        elif forwarding.standard:
            lines = _by_standard(head, peer, host)
        else:
            lines = [
                b"X-Forwarded-For: " + b", ".join([*values.get(b"x-forwarded-for", ()), peer.address]),
                b"X-Forwarded-Proto: " + b", ".join(values.get(b"x-forwarded-proto", (peer.scheme,))),
                b"X-Forwarded-Host: " + b", ".join(values.get(b"x-forwarded-host", (host,))),
            ]
        if forwarding.standard:
            earlier = sound(values.get(b"forwarded", ())) if peer.trusted else []
            lines.append(b"Forwarded: " + b", ".join([*earlier, peer.forwarded_element(host)]))
        for name, several in values.items():
            if name in OWN_FORWARDING_FIELDS or not (is_x_forwarded(name) or name in OTHER_FORWARDING):
                continue
            if forwarding.passes(name, trusted=peer.trusted):
                lines += [name.title() + b": " + value for value in several]
        return lines

    def response(
        self,
        head: ResponseHead,
        request: RequestHead,
        extra: bytes,
        close: bool,
        body: bytes = b"",
        request_id_line: bytes = b"",
    ) -> bytes:
        """The head for an HTTP/1 client, followed by `body`, ready to send. `extra` are lines of ours; `close`
        announces the end of the connection; `request_id_line` is used if the upstream sent no request id.

        A response without a length is chunked for HTTP/1.1 and ends with the connection for HTTP/1.0.
        """
        plain = head.plain
        ours = self._via_field[min(head.version - 10, 2)]
        if head.special:
            plain, ours, own = self._rewrite_unusual_response(head, request, ours)
            if own:
                ours, request_id_line = ours + own, b""
        if head.status >= 200:
            if head.length >= 0:
                ours = concat((ours, CONTENT_LENGTH, itoa(head.length), CRLF))
            elif head.body is not NO_BODY and request.version != 10:
                ours += b"Transfer-Encoding: chunked\r\n"
            if close:
                ours += b"Connection: close\r\n"
            elif request.version == 10:
                ours += b"Connection: keep-alive\r\n"
        if head.status != self._status or head.reason is not self._reason:
            self._status, self._reason = head.status, head.reason
            self._status_line = b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)
        return concat((self._status_line, plain, ours, request_id_line, extra, CRLF, body))

    @staticmethod
    def _rewrite_unusual_response(head: ResponseHead, request: RequestHead, via: bytes) -> tuple[bytes, bytes, bytes]:
        """The remaining plain lines, our lines, and the upstream's request ids, for a head with special fields."""
        connection: list[bytes] = []
        passed: list[bytes] = []
        added: list[bytes] = []
        own: list[bytes] = []
        for name, value in head.special:
            if name == b"connection":
                connection.append(value)
            elif name == b"via":
                passed.append(value)
            elif name == b"upgrade":
                added.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % value)
            elif name == b"trailer" and head.body is STREAM and request.version != 10:
                added.append(b"Trailer: %b\r\n" % value)
            elif name == b"x-request-id" and value:
                own.append(b"%b%b\r\n" % (REQUEST_ID, value))
        if passed:
            via = b"Via: %b" % b", ".join([*passed, via[5:]])
        plain = without(head.plain, connection) if connection else head.plain
        return plain, b"".join([via, *added]), b"".join(own)


def write_request(head: RequestHead, lines: tuple[bytes, bytes, bytes, bytes]) -> bytes:
    """A head for an HTTP/1 upstream, ready to send, from the result of `HeadRewriter.request`."""
    host, plain, ours, last = lines
    if head.body is LENGTH:
        ours = concat((ours, CONTENT_LENGTH, itoa(head.length), CRLF))
    elif head.body is STREAM:
        ours += b"Transfer-Encoding: chunked\r\n"
    return concat((head.method, b" ", head.target, b" HTTP/1.1\r\nHost: ", host, CRLF, plain, ours, last, CRLF))


def _by_standard(head: RequestHead, peer: ForwardedClient, host: bytes) -> list[bytes]:
    """The X-Forwarded-* fields from a trusted proxy's `Forwarded`, for upstreams that read only those."""
    origin = peer.origin(head.special)
    hops = [b"unknown" if origin.address is None else str(origin.address).encode("ascii")]
    hops += [str(address).encode("ascii") for address in origin.behind]
    asked = origin.host if grammar.authority(origin.host) else host
    values = b", ".join(hops), origin.scheme, asked
    return [b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b" % values]


def request_id_of(request_id_line: bytes) -> bytes:
    """The id in a request id line."""
    return request_id_line[len(REQUEST_ID) : -len(CRLF)]


def without(plain: bytes, connection: list[bytes]) -> bytes:
    """The plain lines without those that Connection names; protected fields stay."""
    named = named_by(connection)
    if not named:
        return plain
    lines = plain.split(b"\r\n")[:-1]
    return b"".join([line + b"\r\n" for line in lines if line.partition(b":")[0].lower() not in named])
