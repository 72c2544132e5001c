"""Parses requests strictly (RFC 9112 2-7): bytes to `RequestHead`, payload and `BodyEnd`.

A complete head is split in one pass (`header_scan`). Its fields are either `special`, meaningful to a proxy, or
`plain`, forwarded unchanged. A message without body bytes and chunks is complete with its head; any other one ends with
a `BodyEnd`.
"""

import re

from canaryproxy.http.h1 import grammar
from canaryproxy.http.h1.body import BodyEnd, ChunkedBody, LengthBody, MessageParser
from canaryproxy.http.h1.framing import frame_request
from canaryproxy.http.h1.header_scan import count_lines, take_request
from canaryproxy.http.h1.line_check import HeadSyntax
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.fields import list_items
from canaryproxy.model.head import Body, RequestHead, ResponseHead
from canaryproxy.model.settings import Limits

# Bytes a method may have when the target is as long as allowed.
METHOD_BYTES = 52

REQUEST_LINE_OVERHEAD = METHOD_BYTES + len(b"  HTTP/1.1\r\n")
NO_BODY, LENGTH, STREAM = Body.NONE, Body.LENGTH, Body.STREAM
SLASH = b"/"[0]

# Bytes of empty lines skipped before a request line (RFC 9112 2.2 asks for at least one).
MAX_LEADING_CRLF = 32


def _start_line(line: bytes) -> None:
    if grammar.request_line(line):
        return
    if grammar.other_version(line):
        raise RequestRejectedError(Failure.VERSION_UNKNOWN, "the version is not HTTP/1.0 or HTTP/1.1")
    raise RequestRejectedError(Failure.BAD_REQUEST, "the request line is malformed")


class RequestParser(MessageParser):
    """Feed bytes, pull events. After `RequestRejectedError` the connection's framing is unknown: close it."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self._body: LengthBody | ChunkedBody | None = None
        self._skipped = 0
        self._host = b""
        self._most_bytes = limits.header_bytes
        self._most_target = limits.uri_bytes
        self._most_line = limits.uri_bytes + METHOD_BYTES
        self._most_fields = limits.headers
        self._unmeasured = min(limits.header_bytes, limits.uri_bytes, 4 * limits.headers) - len(b"\r\n")

    def buffered_bytes(self) -> int:
        """Bytes held in memory, including consumed bytes before unconsumed ones."""
        return len(self._buffer.data)

    @property
    def mid_message(self) -> bool:
        """Whether an end of input now would truncate a message."""
        return self._body is not None or len(self._buffer) > 0

    def next(self) -> RequestHead | bytes | BodyEnd | None:
        """The next event, or None until more bytes come.

        Raises `RequestRejectedError` with the failure that says which rule or limit the bytes break.
        """
        body = self._body
        if body is None:
            return self._head()
        event = body.next(self._buffer)
        if type(event) is BodyEnd:
            self._body = None
        return event

    def _head(self) -> RequestHead | None:
        buffer = self._buffer
        data, begin = buffer.data, buffer.position
        if self._seen and self._continues(data, begin):
            return None
        head = take_request(data, begin)
        if head is None:
            if data.startswith(b"\r\n", begin):
                self._skip_empty_lines()
                return self._head()
            self._incomplete_head(data, begin)
            return None
        end = head.end
        if end - begin > self._unmeasured:
            self._measure(data, begin, end - 2, len(head.method), len(head.target))
        host = head.host
        if host is not None and host != self._host:
            if not grammar.authority(host):
                raise RequestRejectedError(Failure.BAD_REQUEST, "Host is malformed")
            self._host = host
        if head.special:
            self._finish_head(head)
        target = head.target
        method = head.method
        if target[0] != SLASH or head.encoded or head.host is None or method in {b"CONNECT", b"TRACE"}:
            resolve_target(head)
        buffer.consume(end)
        if head.body is not NO_BODY:
            self._begin_body(head)
        self._seen = 0
        self._skipped = 0
        if self._lines is not None:
            self._lines.reset()
        return head

    def _measure(self, data: bytes, begin: int, stop: int, method: int, target: int) -> None:
        """Raise `RequestRejectedError` for the first limit in byte order that is exceeded. `method` and `target` are
        lengths.
        """
        if (
            stop - begin > self._most_bytes
            or method + target > self._most_line
            or count_lines(data, begin, stop) - 1 > self._most_fields
        ):
            raise self._check_head(data[begin:stop])
        if target > self._most_target:
            raise RequestRejectedError(Failure.TARGET_TOO_LONG, "the request target is too long")

    def _incomplete_head(self, data: bytes, begin: int) -> None:
        """Raise `RequestRejectedError` if the bytes so far cannot become a valid head."""
        stop = data.find(b"\r\n\r\n", begin) + 4
        if stop > 3:
            raise self._check_head(data[begin:stop])
        if begin < len(data) and data[begin:] != b"\r":
            self._await_head(data, begin)

    def _continues(self, data: bytes, begin: int) -> bool:
        """Whether a partly received head is still incomplete."""
        if data.find(b"\n\r\n", begin + self._seen - 2) >= 0:
            return False
        self._await_head(data, begin)
        return True

    def _skip_empty_lines(self) -> None:
        buffer = self._buffer
        while buffer.data.startswith(b"\r\n", buffer.position):
            buffer.position += 2
            self._skipped += 2
            if self._skipped > MAX_LEADING_CRLF:
                raise RequestRejectedError(Failure.BAD_REQUEST, "too many empty lines before the request line")

    def _syntax(self) -> HeadSyntax:
        most, fields = self._limits.header_bytes, self._limits.headers
        line = min(self._limits.uri_bytes + REQUEST_LINE_OVERHEAD, most)
        failures = Failure.BAD_REQUEST, Failure.TARGET_TOO_LONG, Failure.FIELDS_TOO_LARGE
        return HeadSyntax(_start_line, line, most, fields, *failures)

    def _check_head(self, head: bytes) -> RequestRejectedError:
        """The reason why a complete head is rejected: the first error in byte order."""
        try:
            self._check_lines(head, 0)
        except RequestRejectedError as refused:
            return refused
        return RequestRejectedError(Failure.BAD_REQUEST, "the request head is malformed")

    def _finish_head(self, head: RequestHead) -> None:
        """Set host, framing and persistence from the special fields. Raises `RequestRejectedError`."""
        lengths: list[bytes] = []
        codings: list[bytes] = []
        upgrades: list[bytes] = []
        unusual = False
        for name, value in head.special:
            if name == b"host":
                if head.host is not None or not grammar.authority(value):
                    raise RequestRejectedError(Failure.BAD_REQUEST, "Host is repeated or malformed")
                head.host = value
            elif name == b"connection":
                unusual = unusual or value != b"keep-alive" or head.version == 10
            elif name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value)
            elif name == b"upgrade":
                upgrades.append(value)
            elif name == b"expect" and head.version != 10 and value.lower() != b"100-continue":
                raise RequestRejectedError(Failure.EXPECTATION_UNKNOWN, "an expectation other than 100-continue")
        if unusual:
            persistence(head)
        if upgrades:
            head.upgrade = b", ".join(filter(None, upgrades))
        if lengths or codings:
            frame_request(head, lengths, codings)

    def _begin_body(self, head: RequestHead) -> None:
        limit = self._limits.body_bytes
        if head.body is LENGTH:
            if limit is not None and head.length > limit:
                raise RequestRejectedError(Failure.BODY_TOO_LARGE, "Content-Length exceeds the body limit")
            if head.length:
                self._length.remaining = head.length
                self._body = self._length
        elif head.body is STREAM:
            if self._chunked is None:
                self._chunked = ChunkedBody(
                    Failure.BAD_REQUEST, Failure.FIELDS_TOO_LARGE, self._limits.header_bytes, self._limits.headers
                )
                self._chunked.payload_limit = limit
            self._chunked.reset()
            self._body = self._chunked


def persistence(head: RequestHead | ResponseHead) -> None:
    """Set `close` from the Connection fields; `close` takes precedence over `keep-alive` (RFC 9112 9.3)."""
    values = [value for name, value in head.special if name == b"connection"]
    options = list_items(b",".join(values).lower())
    head.close = b"close" in options or (head.version == 10 and b"keep-alive" not in options)


absolute_form = re.compile(rb"(?i:http)://([^/?]*)(.*)", re.DOTALL).fullmatch


def resolve_target(head: RequestHead) -> None:
    """Check a target that is not plain origin-form with a Host, and reduce absolute-form to it (RFC 9112 3.2).

    Raises `RequestRejectedError` for a missing Host, an unsupported method, any other form, or a NUL in the path.
    """
    if head.host is None and head.version != 10:
        raise RequestRejectedError(Failure.BAD_REQUEST, "Host is missing")
    if head.method in {b"CONNECT", b"TRACE"}:
        raise RequestRejectedError(Failure.METHOD_REFUSED, "CONNECT and TRACE are not served")
    if head.target[0] != SLASH and not (head.target == b"*" and head.method == b"OPTIONS"):
        _reduce(head)
    if b"%00" in head.target.partition(b"?")[0]:
        raise RequestRejectedError(Failure.BAD_REQUEST, "an encoded NUL in the path")


def _reduce(head: RequestHead) -> None:
    match = absolute_form(head.target)
    if match is None or not grammar.authority(match[1]):
        raise RequestRejectedError(Failure.BAD_REQUEST, "the request target is neither a path nor an http URI")
    head.host = match[1]
    rest = match[2]
    if not rest:
        head.target = b"*" if head.method == b"OPTIONS" else b"/"
    else:
        head.target = rest if rest[0] == SLASH else b"/" + rest
