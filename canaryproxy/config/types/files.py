"""Files that the config names: read once, with a limit on size and time, whatever kind of file it is.

A named pipe is read until its writer closes it, so that `run <(template)` works. A pipe without a writer is an error
after `READ_TIMEOUT_SECONDS`.
"""

import contextlib
import errno
import os
import select
import stat
from pathlib import Path

from canaryproxy.config.problems import InvalidValueError

# Seconds without data after which reading a pipe fails: a template is slow, but a start must not hang.
READ_TIMEOUT_SECONDS = 5.0


def read_named(value: object, largest: int, expected: str) -> tuple[Path, bytes]:
    """The path and content of a file. A relative path is relative to the working directory. The content has at most one
    byte more than `largest`: that byte shows that the file is too long. Raises `InvalidValueError` with `expected`.
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
    """The content of a file, at most `most` bytes. Raises `OSError`, and `ValueError` for a NUL in the path."""
    # O_NONBLOCK: opening a pipe must not wait for its writer. O_NOCTTY: a terminal must not become the controlling one.
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
    """With `waits`, an empty first read may mean that no writer has opened the pipe yet."""
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
    """The poll events of the descriptor: data to read, or the writer has gone; 0 after the timeout."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return next((events for _, events in poll.poll(READ_TIMEOUT_SECONDS * 1000)), 0)
