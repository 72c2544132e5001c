"""Requests in: bytes to `RequestHead`, payload and `End`, strictly (RFC 9112 2-7).

One pattern validates a complete head; its fields are then sorted into `special` ones, which mean
something to a proxy, and `plain` ones, which pass as they are. A message with neither body bytes nor
chunks is complete with its head; any other one ends with an `End`.
"""

import re

from canaryproxy.http1 import grammar
from canaryproxy.http1.body import ChunkedBody, End, Inbox, LengthBody
from canaryproxy.http1.framing import frame_request
from canaryproxy.http1.lines import Dialect, LineCheck
from canaryproxy.model.failure import Failure, Refused
from canaryproxy.model.message import Body, RequestHead
from canaryproxy.model.settings import Limits

REQUEST_LINE_OVERHEAD = 64
"""Bytes a request line may have beside its target: method, spaces, version, CRLF."""

MAX_LEADING_CRLF = 32
"""Bytes of empty lines skipped before a request line (RFC 9112 2.2 asks for at least one)."""

FORWARDING = (
    b"forwarded", b"via", b"x-canary-version", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port",
    b"x-forwarded-proto", b"x-forwarded-prefix", b"x-forwarded-server", b"x-forwarded-ssl", b"x-real-ip", b"x-request-id",
)  # fmt: skip
HOP_BY_HOP = (
    b"connection", b"http2-settings", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
)  # fmt: skip
SPECIAL = {name: name for name in (*FORWARDING, *HOP_BY_HOP, b"content-length", b"expect", b"host", b"max-forwards")}

TWINS = {
    name.replace(b"-", b"_")
    for name in (*SPECIAL, b"authorization", b"cookie")
    if b"-" in name or name in (b"authorization", b"cookie")
}
"""Names a CGI-style server cannot tell from a security-relevant one once `-` became `_`: dropped."""

connection_option = re.compile(rb"[ \t]*,[ \t]*").split


def _start_line(line: bytes) -> None:
    if grammar.request_line(line):
        return
    if grammar.other_version(line):
        raise Refused(Failure.VERSION_UNKNOWN, "the version is not HTTP/1.0 or HTTP/1.1")
    raise Refused(Failure.BAD_REQUEST, "the request line is malformed")


class RequestReader:
    """Feed bytes, pull events. After `Refused` the connection's framing is unknown: close it."""

    __slots__ = ("_body", "_chunked", "_inbox", "_length", "_limits", "_lines", "_skipped")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._inbox = Inbox()
        self._length = LengthBody()
        self._chunked: ChunkedBody | None = None
        self._body: LengthBody | ChunkedBody | None = None
        self._skipped = 0
        self._lines: LineCheck | None = None

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        self._inbox.feed(data)

    @property
    def pending(self) -> int:
        """Bytes received but not yet consumed by an event."""
        return len(self._inbox)

    @property
    def mid_message(self) -> bool:
        """Whether an end of input now would cut a message in two."""
        return self._body is not None or len(self._inbox) > 0

    def next(self) -> RequestHead | bytes | End | None:
        """The next event, or None until more bytes come.

        Raises `Refused` with the failure that says which rule or limit the bytes break.
        """
        body = self._body
        if body is None:
            return self._head()
        event = body.next(self._inbox)
        if type(event) is End:
            self._body = None
        return event

    def _head(self) -> RequestHead | None:
        inbox = self._inbox
        data, begin = inbox.data, inbox.position
        if data.startswith(b"\r\n", begin):
            begin = self._skip_empty_lines()
        stop = data.find(b"\r\n\r\n", begin) + 4
        if stop == 3:
            if begin < len(data) and data[begin:] != b"\r":
                self._check_lines(data, begin)
            return None
        match = grammar.request_head(data, begin)
        limits = self._limits
        if (
            match is None
            or stop - begin > limits.header_bytes
            or match.end(2) - begin > limits.uri_bytes + REQUEST_LINE_OVERHEAD - 11
            or match.end(2) - match.start(2) > limits.uri_bytes
        ):
            raise self._verdict(data[begin:stop])
        method, target, minor, block = match.groups()
        head = RequestHead(method, target, 1 if minor == b"1" else 0)
        lines = block.split(b"\r\n")
        del lines[-1]
        if len(lines) > limits.headers:
            raise self._verdict(data[begin:stop])
        sort_fields(lines, SPECIAL, TWINS if b"_" in block else None, head.plain, head.special)
        settle(head)
        inbox.position = stop
        self._begin_body(head)
        self._skipped = 0
        if self._lines is not None:
            self._lines.reset()
        return head

    def _skip_empty_lines(self) -> int:
        inbox = self._inbox
        while inbox.data.startswith(b"\r\n", inbox.position):
            inbox.position += 2
            self._skipped += 2
            if self._skipped > MAX_LEADING_CRLF:
                raise Refused(Failure.BAD_REQUEST, "too many empty lines before the request line")
        return inbox.position

    def _check_lines(self, data: bytes, begin: int) -> None:
        if self._lines is None:
            limits = self._limits
            self._lines = LineCheck(
                Dialect(
                    _start_line,
                    min(limits.uri_bytes + REQUEST_LINE_OVERHEAD, limits.header_bytes),
                    limits.header_bytes,
                    limits.headers,
                    Failure.BAD_REQUEST,
                    Failure.TARGET_TOO_LONG,
                    Failure.FIELDS_TOO_LARGE,
                )
            )
        self._lines.advance(data, begin)

    def _verdict(self, head: bytes) -> Refused:
        """Why a complete head is refused: the first offence in the order of its bytes."""
        try:
            self._check_lines(head, 0)
        except Refused as refused:
            return refused
        return Refused(Failure.TARGET_TOO_LONG, "the request target is too long")

    def _begin_body(self, head: RequestHead) -> None:
        limit = self._limits.body_bytes
        if head.body is Body.LENGTH:
            if limit is not None and head.length > limit:
                raise Refused(Failure.BODY_TOO_LARGE, "Content-Length exceeds the body limit")
            if head.length:
                self._length.remaining = head.length
                self._body = self._length
        elif head.body is Body.CHUNKED:
            if self._chunked is None:
                self._chunked = ChunkedBody(
                    Failure.BAD_REQUEST, Failure.FIELDS_TOO_LARGE, self._limits.header_bytes, self._limits.headers
                )
                self._chunked.payload_limit = limit
            self._chunked.reset()
            self._body = self._chunked


def sort_fields(
    lines: list[bytes],
    names: dict[bytes, bytes],
    twins: set[bytes] | None,
    plain: list[bytes],
    special: list[tuple[bytes, bytes]],
) -> None:
    """Split field lines into plain ones and special (name, value) pairs; drop those named in `twins`."""
    lookup = names.get
    for line in lines:
        raw, _, value = line.partition(b":")
        name = lookup(raw.lower())
        if name is not None:
            special.append((name, value.strip(b" \t")))
        elif twins is None or b"_" not in raw or raw.lower().replace(b"-", b"_") not in twins:
            plain.append(line)


def settle(head: RequestHead) -> None:
    """Fill in what the fields and the target mean: host, framing, target form, persistence.

    Raises `Refused` for a request whose host, framing, target form or expectation is not acceptable.
    """
    lengths: list[bytes] = []
    codings: list[bytes] = []
    head.close = not head.minor
    for name, value in head.special:
        if name == b"host":
            if head.host is not None or not grammar.authority(value):
                raise Refused(Failure.BAD_REQUEST, "Host is repeated or malformed")
            head.host = value
        elif name == b"connection":
            options = connection_option(value.lower())
            if b"close" in options:
                head.close = True
            elif not head.minor and b"keep-alive" in options:
                head.close = False
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"expect" and head.minor and value.lower() != b"100-continue":
            raise Refused(Failure.EXPECTATION_UNKNOWN, "an expectation other than 100-continue")
    if head.host is None and head.minor:
        raise Refused(Failure.BAD_REQUEST, "Host is missing")
    if lengths or codings:
        frame_request(head, lengths, codings)
    if head.target[0] != 0x2F or head.method in REFUSED_METHODS:
        _settle_target(head)
    if b"%00" in head.target.partition(b"?")[0]:
        raise Refused(Failure.BAD_REQUEST, "an encoded NUL in the path")


REFUSED_METHODS = {b"CONNECT", b"TRACE"}

absolute_form = re.compile(rb"(?i:http)://([^/?]*)(.*)", re.S).fullmatch


def _settle_target(head: RequestHead) -> None:
    """The target forms but origin-form (RFC 9112 3.2): absolute-form is reduced, `*` kept for OPTIONS."""
    if head.method in REFUSED_METHODS:
        raise Refused(Failure.METHOD_REFUSED, "CONNECT and TRACE are not served")
    if head.target == b"*" and head.method == b"OPTIONS":
        return
    match = absolute_form(head.target)
    if match is None or not grammar.authority(match[1]):
        raise Refused(Failure.BAD_REQUEST, "the request target is neither a path nor an http URI")
    head.host = match[1]
    rest = match[2]
    if not rest:
        head.target = b"*" if head.method == b"OPTIONS" else b"/"
    else:
        head.target = rest if rest[0] == 0x2F else b"/" + rest
