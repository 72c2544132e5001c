"""Responses in: bytes to `ResponseHead`s (interim and final), payload and `BodyEnd`.

Obsolete line folding from an upstream is replaced by a space (RFC 9112 5.2), everything else outside the
grammar is refused. A response whose body is NONE is complete with its head, as is one of length 0; one
that lasts until the close ends when the caller sees the close.
"""

import re

from canaryproxy.http.h1 import grammar
from canaryproxy.http.h1.body import BodyEnd, ChunkedBody, LengthBody, ReceiveBuffer, UntilClose
from canaryproxy.http.h1.byte_ops import slice_
from canaryproxy.http.h1.framing import frame_response
from canaryproxy.http.h1.header_scan import count_lines, take_response
from canaryproxy.http.h1.line_check import HeadSyntax, LineCheck
from canaryproxy.http.h1.request_parser import persistence
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.head import Body, ResponseHead

HEAD_BYTES = 131_072
HEAD_FIELDS = 256
"""Upstreams are ours, so their heads may be larger than clients': twice the size, more fields."""

MAX_INTERIM = 64
"""1xx heads before the final one; an upstream that sends more is broken."""

NO_BODY, LENGTH, STREAM, TO_THE_END = Body.NONE, Body.LENGTH, Body.STREAM, Body.UNTIL_CLOSE
UNCOUNTED = 4 * HEAD_FIELDS
"""A head no longer than this cannot have too many fields: the shortest has four bytes."""

PRESERVED_FIELDS = (b"via", b"trailer", b"x-request-id")
SWITCHING = 101

unfold = re.compile(rb"(?<![ \t])[ \t]*\r\n[ \t]+").sub
"""A match begins where white space begins: else every space of a long run would be tried, with the rest of the run."""


def _start_line(line: bytes) -> None:
    if not grammar.status_line(line):
        raise RequestRejectedError(Failure.RESPONSE_INVALID, "the status line is malformed")


RESPONSE = HeadSyntax(
    _start_line,
    HEAD_BYTES,
    HEAD_BYTES,
    HEAD_FIELDS,
    Failure.RESPONSE_INVALID,
    Failure.RESPONSE_HEAD_TOO_LARGE,
    Failure.RESPONSE_HEAD_TOO_LARGE,
    folds=True,
)
UNTIL_CLOSE = UntilClose()


class ResponseParser:
    """Feed bytes, pull events; `expect` names the method of the request that is being answered."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()
        self._length = LengthBody()
        self._chunked: ChunkedBody | None = None
        self._lines: LineCheck | None = None
        self._body: LengthBody | ChunkedBody | UntilClose | None = None
        self._method = b""
        self._interim = 0
        self._seen = 0

    def expect(self, method: bytes) -> None:
        """Begin with the response to a request of this method."""
        self._method = method
        self._interim = 0
        self._seen = 0
        self._body = None

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        buffer = self._buffer
        if buffer.position == len(buffer.data):
            buffer.data = data
            buffer.position = 0
        else:
            buffer.feed(data)

    def pending(self) -> int:
        """Bytes received but not yet consumed: after a complete response, unexpected bytes."""
        buffer = self._buffer
        return len(buffer.data) - buffer.position

    def take_all(self) -> bytes:
        """Everything pending, consumed: for a connection that speaks something else from here on."""
        return self._buffer.take_all()

    @property
    def until_close(self) -> bool:
        """Whether the body under way ends, rightly, when the connection does."""
        return self._body is UNTIL_CLOSE

    def next(self) -> ResponseHead | bytes | BodyEnd | None:
        """The next event, or None until more bytes come. Raises `RequestRejectedError` for what we do not relay."""
        body = self._body
        if body is None:
            return self._head()
        event = body.next(self._buffer)
        if type(event) is BodyEnd:
            self._body = None
        return event

    def _head(self) -> ResponseHead | None:
        buffer = self._buffer
        data, begin = buffer.data, buffer.position
        if self._seen and data.find(b"\n\r\n", begin + self._seen - 2) < 0:
            self._await_head(data, begin)
            return None
        head = take_response(data, begin)
        if head is not None:
            end = head.end
        if head is None or end - begin > HEAD_BYTES:
            end = data.find(b"\r\n\r\n", begin) + 4
            if end == 3:
                if begin < len(data):
                    self._await_head(data, begin)
                return None
            head = self._unfold(data[begin:end])
        if end - begin > UNCOUNTED and count_lines(data, begin, end) - 2 > HEAD_FIELDS:
            raise RequestRejectedError(Failure.RESPONSE_HEAD_TOO_LARGE, "too many fields")
        if head.body is not LENGTH:
            finish_head(head, self._method)
        elif self._method == b"HEAD":
            head.body = NO_BODY
        buffer.consume(end)
        self._seen = 0
        self._begin_body(head)
        if self._lines is not None:
            self._lines.reset()
        return head

    def rest(self) -> bytes | None:
        """The whole body of the head just yielded, if its length is known and all of it is here.

        Nothing more is yielded for the message then; None leaves it all to `next`.
        """
        body = self._length
        if self._body is not body:
            return None
        buffer = self._buffer
        begin = buffer.position
        if body.remaining > len(buffer.data) - begin:
            return None
        end = begin + body.remaining
        self._body = None
        data = slice_(buffer.data, begin, end)
        buffer.consume(end)
        return data

    def _await_head(self, data: bytes, begin: int) -> None:
        """Judge what is there of a head. It is taken apart when its end has come, not with each of its bytes."""
        self._check_lines(data, begin)
        if len(data) - begin > len(b"\r\n"):
            self._seen = len(data) - begin

    def _check_lines(self, data: bytes, begin: int) -> None:
        if self._lines is None:
            self._lines = LineCheck(RESPONSE)
        self._lines.advance(data, begin)

    def _unfold(self, data: bytes) -> ResponseHead:
        """A head once its folded lines are joined; raises `RequestRejectedError` if that was not all."""
        self._check_lines(data, 0)
        head = take_response(unfold(b" ", data[:-4]) + b"\r\n\r\n", 0)
        if head is None:
            raise RequestRejectedError(Failure.RESPONSE_INVALID, "the response head is malformed")
        return head

    def _begin_body(self, head: ResponseHead) -> None:
        if head.status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise RequestRejectedError(Failure.RESPONSE_INVALID, "too many interim responses")
        elif head.body is LENGTH:
            if head.length:
                self._length.remaining = head.length
                self._body = self._length
        elif head.body is STREAM:
            if self._chunked is None:
                self._chunked = ChunkedBody(
                    Failure.RESPONSE_INVALID, Failure.RESPONSE_HEAD_TOO_LARGE, HEAD_BYTES, HEAD_FIELDS
                )
            self._chunked.reset()
            self._body = self._chunked
        elif head.body is TO_THE_END:
            self._body = UNTIL_CLOSE


def finish_head(head: ResponseHead, method: bytes) -> None:
    """Settle framing and persistence by the special fields. Raises `Refused(RESPONSE_INVALID)`.

    What is settled with that is not kept in `special`.
    """
    found = head.special
    kept: list[tuple[bytes, bytes]] = []
    head.special = kept
    lengths: list[bytes] = []
    codings: list[bytes] = []
    unusual = False
    for name, value in found:
        if name == b"content-length":
            lengths.append(value)
        elif name == b"connection":
            if value != b"keep-alive" or head.version == 10:
                kept.append((name, value))
                unusual = True
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name in PRESERVED_FIELDS or (name == b"upgrade" and head.status == SWITCHING):
            kept.append((name, value))
    if unusual:
        persistence(head)
    frame_response(head, method, lengths, codings)
