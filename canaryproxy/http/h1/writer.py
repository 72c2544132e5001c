"""Writes bodies as chunks and trailers."""

from canaryproxy.model.fields import REQUEST_SPECIAL, is_x_forwarded

LAST_CHUNK = b"0\r\n\r\n"

_EARLY = (
    b"age authorization cache-control content-encoding content-range content-type cookie date expires if-match "
    b"if-none-match if-modified-since if-unmodified-since location pragma range retry-after set-cookie vary warning "
    b"www-authenticate"
)
# Fields for framing, routing, authentication and caching are not allowed in trailers (RFC 9110 6.5.1): dropped.
FORBIDDEN_TRAILERS = {*REQUEST_SPECIAL, *_EARLY.split()}


def chunk_start(size: int) -> bytes:
    """The line before `size` bytes of chunk data; CRLF follows the data."""
    return b"%x\r\n" % size


def chunk(piece: bytes) -> bytes:
    """A non-empty piece of a body as a chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def last_chunk(trailers: tuple[bytes, ...]) -> bytes:
    """The end of a chunked body, with the trailer lines that may be forwarded."""
    kept = [line for line in trailers if not _forbidden(line)]
    return b"0\r\n%b\r\n\r\n" % b"\r\n".join(kept) if kept else LAST_CHUNK


def _forbidden(line: bytes) -> bool:
    """By the field's name as a CGI-style server reads it, with `-` for `_`."""
    name = line.partition(b":")[0].lower().replace(b"_", b"-")
    return name in FORBIDDEN_TRAILERS or is_x_forwarded(name)
