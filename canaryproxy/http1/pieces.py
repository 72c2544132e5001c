"""Bytes put together from pieces, and pieces of them. The compiled twin is `gluing`."""


def joined(pieces: tuple[bytes, ...]) -> bytes:
    """All pieces, one behind the other."""
    return b"".join(pieces)


def decimal(number: int) -> bytes:
    """A number that is not negative, written."""
    return b"%d" % number


def cut(data: bytes, begin: int, end: int) -> bytes:
    """The bytes from `begin` to before `end`; both lie within `data`, in this order."""
    return data[begin:end]
