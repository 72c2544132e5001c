"""Concatenates and slices bytes. The reference of byte_ops.pyx, which runs when compiled."""

from canaryproxy.http.h1.grammar import MAX_CHUNK_LINE, whole_chunk_line


def concat(pieces: tuple[bytes, ...]) -> bytes:
    """All pieces, concatenated."""
    return b"".join(pieces)


def itoa(number: int) -> bytes:
    """A non-negative number in decimal."""
    return b"%d" % number


def slice_(data: bytes, begin: int, end: int) -> bytes:
    """The bytes from `begin` to before `end`; both lie within `data`, in this order."""
    return data[begin:end]


def dechunk(data: bytes, begin: int, room: int, spare: int) -> tuple[bytes, int, int]:
    """The data of the chunks from `begin` on, the offset of the next chunk, and the bytes of their extensions.

    Stops before the first chunk that is incomplete, malformed, the last one, or exceeds `room` bytes of data or `spare`
    bytes of extensions; the caller checks that chunk.
    """
    found: list[bytes] = []
    extensions = 0
    while (line := whole_chunk_line(data, begin)) is not None:
        start = line.end()
        size = int(line[1], 16)
        end = start + size
        extensions += len(line[2])
        room -= size
        too_much = room < 0 or extensions > spare or start - begin > MAX_CHUNK_LINE
        if not size or too_much or data[end : end + 2] != b"\r\n":
            extensions -= len(line[2])
            break
        found.append(data[start:end])
        begin = end + 2
    return b"".join(found), begin, extensions
