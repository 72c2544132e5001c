"""A listening Unix socket with a path, accessible to its owner only. Replaces the stale file of a killed process."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from canaryproxy.processes.listen import ListenError

BACKLOG = 64
MODE = 0o600

MAX_PATH_BYTES = 107
"""Longest path that fits into a socket address (unix(7))."""

LOCK_TIMEOUT_SECONDS = 1.0
"""Seconds to wait for a process that may listen on the socket, and for the lock of its directory."""
RETRY_SECONDS = 0.02
"""Seconds between two attempts to take the lock."""


class Bound(NamedTuple):
    """A listening socket and the identity of its file: device, inode, ctime. Inodes are reused, hence the ctime."""

    sock: socket.socket
    path: Path
    file: tuple[int, int, int]

    def remove(self) -> None:
        """Remove the file if it is still ours."""
        with contextlib.suppress(OSError), _alone(self.path.parent):
            if _identity(self.path) == self.file:
                self.path.unlink()


def listen_at(path: Path) -> Bound:
    """A bound, listening, non-blocking Unix socket. Raises `ListenError`."""
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise ListenError(f"cannot listen on {path}: the path of a socket has {MAX_PATH_BYTES} bytes at most")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone(path.parent):
            _clear(path)
            os.fchmod(sock.fileno(), MODE)  # Linux makes the file of this mode: no other user can connect in between
            sock.bind(str(path))
            path.chmod(MODE)
            sock.listen(BACKLOG)
            file = _identity(path)
    except OSError as error:
        sock.close()
        why = "no such directory" if error.errno == errno.ENOENT else os.strerror(error.errno or 0)
        raise ListenError(f"cannot listen on {path}: {why}") from None
    except ListenError:
        sock.close()
        raise
    sock.setblocking(False)
    return Bound(sock, path, file)


def _identity(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino, found.st_ctime_ns


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the directory, so that no process removes a socket that another one has just created."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Wait for the lock, for a limited time: every user who may read the directory can hold it."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    with contextlib.suppress(OSError):  # a file system without locks
        while time.monotonic() < deadline:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(RETRY_SECONDS)
            else:
                return


def _clear(path: Path) -> None:
    """Remove a socket file that no process listens on. Raises `ListenError` for anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenError(f"cannot listen on {path}: there is something that is no socket; it stays as it is")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(LOCK_TIMEOUT_SECONDS)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except (TimeoutError, BlockingIOError):
            pass  # its queue is full
    raise ListenError(f"cannot listen on {path}: another process listens there; give each instance a socket of its own")
