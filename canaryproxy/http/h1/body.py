"""Reads bodies: length-delimited, chunked, or until the connection closes, as payload and an end.

Each decoder takes bytes from a `ReceiveBuffer` and returns one event per call: payload bytes, a `BodyEnd`, or None if
it needs more bytes. Chunk extensions are dropped and bounded; trailers are kept as lines. A malformed chunked body
raises at the first malformed byte (RFC 9112 7.1). All complete chunks in the buffer are taken in one step, so chunks of
one byte cost little more than one large chunk.
"""

from canaryproxy.http.h1 import grammar
from canaryproxy.http.h1.byte_ops import dechunk
from canaryproxy.http.h1.line_check import HeadSyntax, LineCheck
from canaryproxy.model.failure import Failure, RequestRejectedError

# Bytes of all chunk extensions of one body. They are dropped, so a client could only waste CPU (CVE-2023-39326).
MAX_EXTENSION_BYTES = 16_384


class BodyEnd:
    """The end of a body, with its trailer lines, without line ends."""

    def __init__(self, trailers: tuple[bytes, ...] = ()) -> None:
        self.trailers = trailers

    def __repr__(self) -> str:
        return f"<BodyEnd {list(self.trailers)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BodyEnd) and other.trailers == self.trailers

    def __hash__(self) -> int:
        return hash(self.trailers)


BODY_END = BodyEnd()


class ReceiveBuffer:
    """Received bytes that are not yet consumed: `data` from `position` on."""

    def __init__(self) -> None:
        self.data = b""
        self.position = 0

    def feed(self, data: bytes) -> None:
        """Append received bytes; without a copy if everything before was consumed."""
        if self.position == len(self.data):
            self.data = data
        else:
            self.data = self.data[self.position :] + data
        self.position = 0

    def consume(self, end: int) -> None:
        """Mark the bytes before `end` as consumed. A consumed buffer is released: its connection may idle."""
        if end == len(self.data):
            self.data, self.position = b"", 0
        else:
            self.position = end

    def take_all(self) -> bytes:
        """Everything pending, consumed."""
        data = self.data[self.position :] if self.position else self.data
        self.data, self.position = b"", 0
        return data

    def __len__(self) -> int:
        return len(self.data) - self.position


class LengthBody:
    """Exactly `remaining` more bytes (Content-Length)."""

    def __init__(self) -> None:
        self.remaining = 0

    def next(self, buffer: ReceiveBuffer) -> bytes | BodyEnd | None:
        """The next payload, `BODY_END` once all of it came, or None."""
        if not self.remaining:
            return BODY_END
        position = buffer.position
        available = len(buffer.data) - position
        if not available:
            return None
        if available <= self.remaining:
            self.remaining -= available
            data = buffer.data[position:] if position else buffer.data
            buffer.data, buffer.position = b"", 0
            return data
        end = buffer.position = position + self.remaining
        self.remaining = 0
        return buffer.data[position:end]


class UntilClose:
    """Everything until the peer closes; the caller detects the end."""

    def next(self, buffer: ReceiveBuffer) -> bytes | None:
        """The next payload or None."""
        return buffer.take_all() if len(buffer) else None


SIZE, DATA, DATA_END, TRAILERS = range(4)


class ChunkedBody:
    """The chunked coding. `failure` is raised for a malformed body, `too_large` for oversized trailers."""

    def __init__(self, failure: Failure, too_large: Failure, trailer_bytes: int, trailer_fields: int) -> None:
        self._failure = failure
        self._lines = LineCheck(HeadSyntax(None, 0, trailer_bytes, trailer_fields, failure, too_large, too_large))
        self.payload_limit: int | None = None
        self.reset()

    def reset(self) -> None:
        """Begin with a new body."""
        self._state = SIZE
        self._remaining = 0
        self._extensions = 0
        self._payload = 0
        self._seen = 0
        self._refused: RequestRejectedError | None = None
        self._lines.reset()

    def next(self, buffer: ReceiveBuffer) -> bytes | BodyEnd | None:
        """All payload received, joined; then a `BodyEnd`; or None.

        Raises `RequestRejectedError` if the body is malformed, with BODY_TOO_LARGE beyond `payload_limit`. Payload
        before the error is returned first, so the events do not depend on how the bytes arrive.
        """
        if self._refused is not None:
            raise self._refused
        pieces: list[bytes] = []
        try:
            end = self._advance(buffer, pieces)
        except RequestRejectedError as refused:
            if not pieces:
                raise
            self._refused = refused
            end = None
        if pieces:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return end

    def _advance(self, buffer: ReceiveBuffer, pieces: list[bytes]) -> BodyEnd | None:
        while True:
            if self._state == DATA:
                self._data(buffer, pieces)
                more = self._state != DATA
            elif self._state == DATA_END:
                more = self._data_end(buffer)
            elif self._state == SIZE:
                self._whole_chunks(buffer, pieces)
                more = self._size(buffer)
            else:
                return None if pieces else self._trailers(buffer)
            if not more:
                return None

    def _whole_chunks(self, buffer: ReceiveBuffer, pieces: list[bytes]) -> None:
        """Take the complete chunks that are within all limits; `_size` checks the rest byte by byte."""
        limit = self.payload_limit
        room = grammar.MAX_LENGTH if limit is None else limit - self._payload
        data, end, added = dechunk(buffer.data, buffer.position, room, MAX_EXTENSION_BYTES - self._extensions)
        if data:
            pieces.append(data)
            buffer.position = end
            self._extensions += added
            self._payload += len(data)

    def _size(self, buffer: ReceiveBuffer) -> bool:
        end = buffer.data.find(b"\n", buffer.position) + 1
        if not end:
            if len(buffer) > grammar.MAX_CHUNK_LINE:
                raise RequestRejectedError(self._failure, "a chunk's first line is too long")
            return False
        line = buffer.data[buffer.position : end]
        match = grammar.chunk_line(line) if len(line) <= grammar.MAX_CHUNK_LINE else None
        if match is None:
            raise RequestRejectedError(self._failure, "a chunk's size or extension is malformed")
        size = int(match[1], 16)
        self._extensions += len(match[2])
        self._payload += size
        if size > grammar.MAX_LENGTH or self._extensions > MAX_EXTENSION_BYTES:
            raise RequestRejectedError(self._failure, "a chunk's size or the extensions are out of bounds")
        if self.payload_limit is not None and self._payload > self.payload_limit:
            raise RequestRejectedError(Failure.BODY_TOO_LARGE, "the chunks exceed the body limit")
        buffer.position = end
        self._remaining = size
        self._state = DATA if size else TRAILERS
        return True

    def _data(self, buffer: ReceiveBuffer, pieces: list[bytes]) -> None:
        position = buffer.position
        size = min(self._remaining, len(buffer.data) - position)
        if not size:
            return
        pieces.append(buffer.data[position : position + size])
        buffer.position = position + size
        self._remaining -= size
        if not self._remaining:
            self._state = DATA_END

    def _data_end(self, buffer: ReceiveBuffer) -> bool:
        end = buffer.data[buffer.position : buffer.position + 2]
        if end == b"\r\n":
            buffer.position += 2
            self._state = SIZE
            return True
        if end and end != b"\r":
            raise RequestRejectedError(self._failure, "chunk data does not end in CRLF")
        return False

    def _trailers(self, buffer: ReceiveBuffer) -> BodyEnd | None:
        data, position = buffer.data, buffer.position
        if data.startswith(b"\r\n", position):
            buffer.position = position + 2
            return BODY_END
        stop = data.find(b"\r\n\r\n", position + max(self._seen - len(b"\r\n\r"), 0))
        block = data[: stop + 4] if stop >= 0 else data
        self._lines.advance(block, position)
        if stop < 0:
            self._seen = len(data) - position
            return None
        buffer.position = stop + 4
        return BodyEnd(tuple(data[position:stop].split(b"\r\n")))


class MessageParser:
    """The state that request and response parsers share: received bytes, the body being read, and the line check.

    `_seen` counts the bytes of an incomplete head that were checked already.
    """

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()
        self._length = LengthBody()
        self._chunked: ChunkedBody | None = None
        self._lines: LineCheck | None = None
        self._seen = 0

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        self._buffer.feed(data)

    def pending(self) -> int:
        """Bytes received but not yet consumed by an event."""
        buffer = self._buffer
        return len(buffer.data) - buffer.position

    def take_all(self) -> bytes:
        """Consume and return everything pending: for a connection that changes its protocol."""
        return self._buffer.take_all()

    def _syntax(self) -> HeadSyntax:
        raise NotImplementedError

    def _await_head(self, data: bytes, begin: int) -> None:
        """Check an incomplete head. It is parsed once it is complete, not with each of its bytes."""
        self._check_lines(data, begin)
        if len(data) - begin > len(b"\r\n"):
            self._seen = len(data) - begin

    def _check_lines(self, data: bytes, begin: int) -> None:
        if self._lines is None:
            self._lines = LineCheck(self._syntax())
        self._lines.advance(data, begin)
