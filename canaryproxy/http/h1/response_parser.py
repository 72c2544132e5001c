"""Parses responses: bytes to `ResponseHead`s (interim and final), payload and `BodyEnd`.

Obsolete line folding from an upstream is replaced by a space (RFC 9112 5.2); everything else outside the grammar is
rejected. A response with body NONE or length 0 is complete with its head. A body that lasts until the close ends when
the caller detects the close.
"""

import re

from canaryproxy.http.h1 import grammar
from canaryproxy.http.h1.body import BodyEnd, ChunkedBody, LengthBody, MessageParser, UntilClose
from canaryproxy.http.h1.byte_ops import slice_
from canaryproxy.http.h1.framing import frame_response
from canaryproxy.http.h1.header_scan import count_lines, take_response
from canaryproxy.http.h1.line_check import HeadSyntax
from canaryproxy.http.h1.request_parser import persistence
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.head import Body, ResponseHead

# Upstreams are trusted more than clients, so their heads may be larger: twice the size, more fields.
HEAD_BYTES = 131_072
HEAD_FIELDS = 256

# 1xx heads before the final one; an upstream that sends more is broken.
MAX_INTERIM = 64

NO_BODY, LENGTH, STREAM, TO_THE_END = Body.NONE, Body.LENGTH, Body.STREAM, Body.UNTIL_CLOSE
# A head no longer than this cannot have too many fields: the shortest has four bytes.
UNCOUNTED = 4 * HEAD_FIELDS

PRESERVED_FIELDS = (b"via", b"trailer", b"x-request-id")
SWITCHING = 101

# A match begins where white space begins: else every space of a long run would be tried, with the rest of the run.
unfold = re.compile(rb"(?<![ \t])[ \t]*\r\n[ \t]+").sub


def _start_line(line: bytes) -> None:
    if not grammar.status_line(line):
        raise RequestRejectedError(INVALID, "the status line is malformed")


INVALID, TOO_LARGE = Failure.RESPONSE_INVALID, Failure.RESPONSE_HEAD_TOO_LARGE
RESPONSE = HeadSyntax(_start_line, HEAD_BYTES, HEAD_BYTES, HEAD_FIELDS, INVALID, TOO_LARGE, TOO_LARGE, folds=True)
UNTIL_CLOSE = UntilClose()


class ResponseParser(MessageParser):
    """Feed bytes, pull events; `expect` names the method of the request that is being answered."""

    def __init__(self) -> None:
        super().__init__()
        self._body: LengthBody | ChunkedBody | UntilClose | None = None
        self._method = b""
        self._interim = 0

    def expect(self, method: bytes) -> None:
        """Begin with the response to a request of this method."""
        self._method = method
        self._interim = 0
        self._seen = 0
        self._body = None

    @property
    def until_close(self) -> bool:
        """Whether the current body ends with the connection, by its framing."""
        return self._body is UNTIL_CLOSE

    def next(self) -> ResponseHead | bytes | BodyEnd | None:
        """The next event, or None until more bytes come. Raises `RequestRejectedError` for an invalid response."""
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
            raise RequestRejectedError(TOO_LARGE, "too many fields")
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
        """The whole body of the last head, if its length is known and all of it has arrived. Then the message is
        complete; after None, `next` returns the body.
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

    def _syntax(self) -> HeadSyntax:
        return RESPONSE

    def _unfold(self, data: bytes) -> ResponseHead:
        """The head with its folded lines joined. Raises `RequestRejectedError` if it is still malformed."""
        self._check_lines(data, 0)
        head = take_response(unfold(b" ", data[:-4]) + b"\r\n\r\n", 0)
        if head is None:
            raise RequestRejectedError(INVALID, "the response head is malformed")
        return head

    def _begin_body(self, head: ResponseHead) -> None:
        if head.status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise RequestRejectedError(INVALID, "too many interim responses")
        elif head.body is LENGTH:
            if head.length:
                self._length.remaining = head.length
                self._body = self._length
        elif head.body is STREAM:
            if self._chunked is None:
                self._chunked = ChunkedBody(INVALID, TOO_LARGE, HEAD_BYTES, HEAD_FIELDS)
            self._chunked.reset()
            self._body = self._chunked
        elif head.body is TO_THE_END:
            self._body = UNTIL_CLOSE


def finish_head(head: ResponseHead, method: bytes) -> None:
    """Set framing and persistence from the special fields, and keep in `special` only those that rewriting needs.

    Raises `RequestRejectedError` with RESPONSE_INVALID.
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
