"""Files that are named: read in one bounded go, whatever is at the path.

A named pipe is read to the end of what is written into it, so that `run <(template)` works. One that nothing is written
into is an error after a while, and holds nothing up.
"""

import contextlib
import errno
import os
import select
import stat
from pathlib import Path

from canaryproxy.config.problems import InvalidValueError

READ_TIMEOUT_SECONDS = 5.0
"""Seconds for which a writer of a pipe is waited for."""


def read_named(value: object, largest: int, expected: str) -> tuple[Path, bytes]:
    """A file by its path, which counts from the working directory, and what it holds: at most one byte more than
    `largest`, by which the caller knows that it is too long. Raises `InvalidValueError`, with what was `expected`.
    """
    if not isinstance(value, str) or not value:
        raise InvalidValueError(expected)
    path = Path(value)
    try:
        return path, read_bounded(path, largest + 1)
    except OSError as error:
        raise InvalidValueError(f"this file cannot be read ({error.strerror or 'unknown error'}); {expected}") from None
    except ValueError:
        raise InvalidValueError(expected) from None


def read_bounded(path: Path, most: int) -> bytes:
    """What a file holds, at most so many bytes. Never waits long. Raises `OSError`, and `ValueError` for a NUL in the
    path.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if stat.S_ISBLK(mode):
            raise OSError(errno.EINVAL, "it is a block device", str(path))
        return _read(descriptor, most, waits=stat.S_ISFIFO(mode))
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int, *, waits: bool) -> bytes:
    """`waits`: an empty read at first may mean that there is no writer yet."""
    found = b""
    while len(found) < most:
        with contextlib.suppress(BlockingIOError):
            piece = os.read(descriptor, most - len(found))
            if not piece and (found or not waits):
                break
            found += piece
            if piece:
                continue
        seen = _poll(descriptor)
        if not seen:
            raise TimeoutError(errno.ETIMEDOUT, f"nothing was written into it for {READ_TIMEOUT_SECONDS:g} s")
        waits = waits and not seen & select.POLLHUP
    return found


def _poll(descriptor: int) -> int:
    """Whether there is something to read, or no writer any more; 0 if neither has happened in time."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return next((events for _, events in poll.poll(READ_TIMEOUT_SECONDS * 1000)), 0)
