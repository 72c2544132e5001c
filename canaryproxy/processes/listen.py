"""Listening sockets: TCP, inherited by the data plane, and Unix, for probes, accessible to the owner only."""

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

from canaryproxy.config.types.address import EVERY_IPV4, EVERY_IPV6

# The kernel caps it at net.core.somaxconn.
BACKLOG = 4096

REASONS = {
    errno.EADDRINUSE: "another process listens there",
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EAFNOSUPPORT: "this machine has no IPv6; `:PORT` and 0.0.0.0:PORT do without",
}

NO_IPV6 = frozenset((errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL))


class ListenError(Exception):
    """An address cannot be listened on; the message is one line for the user."""


def listen_on(host: str, port: int) -> socket.socket:
    """A bound, listening, non-blocking TCP socket on a literal IP address. An empty `host` means every address of both
    families, or of IPv4 where the system has no IPv6. Raises `ListenError`.

    A socket for an IPv6 address takes no IPv4, whatever the system's default is (`net.ipv6.bindv6only`).
    """
    try:
        if host:
            return _listening(host, port, both=False)
        try:
            return _listening(EVERY_IPV6, port, both=True)
        except OSError as error:
            if error.errno not in NO_IPV6:
                raise
            return _listening(EVERY_IPV4, port, both=False)
    except OSError as error:
        reason = REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
        raise ListenError(f"cannot listen on {display((host, port))}: {reason}") from None


def _listening(host: str, port: int, *, both: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart must not wait for connections in TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def listening_text(written: tuple[str, int], at: tuple[str, int]) -> str:
    """The address of a socket as in a URL, with the families it accepts where the address does not show them."""
    families = " (IPv4 and IPv6)" if not written[0] else " (IPv6)"
    return display(at) + (families if at[0] == EVERY_IPV6 else "")


def display(address: tuple[str, int]) -> str:
    """`host:port`, an IPv6 address in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


UNIX_BACKLOG = 64
UNIX_MODE = 0o600

# Longest path that fits into a socket address (unix(7)).
MAX_PATH_BYTES = 107

# Seconds to wait for a process that may listen on the socket, and for the lock of its directory.
LOCK_TIMEOUT_SECONDS = 1.0
# Seconds between two attempts to take the lock.
RETRY_SECONDS = 0.02


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
            os.fchmod(sock.fileno(), UNIX_MODE)  # Linux creates the file with this mode: no race with other users
            sock.bind(str(path))
            path.chmod(UNIX_MODE)
            sock.listen(UNIX_BACKLOG)
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
