"""Bodies out: chunks and trailers, always framed by us."""

from canaryproxy.model.fields import REQUEST_SPECIAL, is_x_forwarded

LAST_CHUNK = b"0\r\n\r\n"

FORBIDDEN_TRAILERS = {
    *REQUEST_SPECIAL,
    b"age",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"cookie",
    b"date",
    b"expires",
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
    b"location",
    b"pragma",
    b"range",
    b"retry-after",
    b"set-cookie",
    b"vary",
    b"warning",
    b"www-authenticate",
}
"""Fields for framing, routing, authentication and caching must not come late (RFC 9110 6.5.1): dropped."""


def chunk_start(size: int) -> bytes:
    """The line before `size` bytes of chunk data; CRLF follows the data."""
    return b"%x\r\n" % size


def chunk(piece: bytes) -> bytes:
    """A piece of a body, which must not be empty, as a chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def last_chunk(trailers: tuple[bytes, ...]) -> bytes:
    """The end of a chunked body with those of the trailer lines that may be forwarded."""
    kept = [line for line in trailers if not _forbidden(_name(line))]
    if not kept:
        return LAST_CHUNK
    return b"0\r\n%b\r\n\r\n" % b"\r\n".join(kept)


def _forbidden(name: bytes) -> bool:
    return name in FORBIDDEN_TRAILERS or is_x_forwarded(name)


def _name(line: bytes) -> bytes:
    """A field's name as a CGI-style server reads it: `_` is `-` to it."""
    return line.partition(b":")[0].lower().replace(b"_", b"-")
