"""Shortages of this machine, as opposed to failures of peers: descriptors, local ports, memory for sockets.

Such an error says nothing about a version or an endpoint, so it is charged to neither. It is logged at most once in
`LOG_PERIOD_SECONDS` seconds per kind, with a count. One descriptor is kept in reserve, so that a client can be refused
even when no other is left: it would wait forever in the kernel's queue.

A client takes two descriptors: its own connection, and one to an endpoint. Idle connections to endpoints are not
counted: they are closed when descriptors run out.
"""

import contextlib
import errno
import logging
import os
import resource
import socket
from collections.abc import Callable

log = logging.getLogger("canaryproxy")

# Seconds between two log lines of a kind.
LOG_PERIOD_SECONDS = 10.0

FILE_ERRORS = (errno.EMFILE, errno.ENFILE)
MEMORY_ERRORS = (errno.ENOBUFS, errno.ENOMEM)

UNVERIFIED_ERRORS = "certificates of endpoints could not be verified: no descriptor is left to open the CA certificates"
NO_MEMORY = "connections to endpoints could not be opened: no memory is left"

FULL = "clients were refused: server.limits.max_connections, or what file descriptors allow, is reached"

OF_ADDRESS = "clients were refused: an address has reached server.limits.connections_per_address"

READ = 65_536

FILES_PER_CONNECTION = 2

# Descriptors of a process that are not for clients, at most; a quarter of all if there are few.
RESERVED_FILES = 64

# Descriptors in use before the first client connects.
BASE_FILES = 24


def limit() -> int:
    """Files that this process may open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 2**31 if soft == resource.RLIM_INFINITY else soft


def files_for(connections: int) -> int:
    """Descriptors that a process needs for so many clients."""
    return connections * FILES_PER_CONNECTION + RESERVED_FILES


def connections_within(files: int) -> int:
    """Clients that a process can serve with so many descriptors."""
    return max((files - min(RESERVED_FILES, max(files // 4, BASE_FILES))) // FILES_PER_CONNECTION, 1)


def connection_limit(wanted: int, files: int, workers: int) -> int:
    """Clients that an instance can serve with so many descriptors in each of its workers."""
    return min(wanted, workers * connections_within(files))


def reserved() -> int:
    """A descriptor to release when there is no other. It needs no file: containers may lack even /dev/null.

    Raises `OSError` if there is none.
    """
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def lacks(error: BaseException | None) -> bool:
    """Whether an error is a shortage of this machine."""
    return isinstance(error, OSError) and (error.errno in FILE_ERRORS or error.errno in MEMORY_ERRORS)


def no_descriptor() -> bool:
    """Whether no descriptor is left."""
    try:
        os.close(reserved())
    except OSError:
        return True
    return False


class ResourceExhaustion:
    """The shortages seen by one worker, on its clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._logged: dict[str, float] = {}
        self._reserve = reserved()

    def __repr__(self) -> str:
        return f"<ResourceExhaustion {self._counts}>"

    def caused_here(self, error: OSError, host: str, port: int) -> bool:
        """Whether a connection could not be opened because of a shortage here, which is then counted."""
        number = error.errno
        if lacks(error):
            self.note(f"connections to endpoints could not be opened: {describe(number or 0)}")
            return True
        if number == errno.EADDRNOTAVAIL and reachable(host, port):
            self.note(f"connections to endpoints could not be opened: {describe(number)}")
            return True
        return False

    def lacks_ca_file(self) -> bool:
        """Whether a certificate may be rejected because CA certificates could not be opened; counted then."""
        if not no_descriptor():
            return False
        self.note(UNVERIFIED_ERRORS)
        return True

    def note(self, kind: str) -> None:
        """Count a shortage, and log it unless its kind was logged recently."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self.sweep()

    def sweep(self) -> None:
        """Log the kinds whose period is over."""
        if not self._counts:
            return
        now = self._clock()
        for kind, count in list(self._counts.items()):
            if now - self._logged.get(kind, -LOG_PERIOD_SECONDS) >= LOG_PERIOD_SECONDS:
                self._logged[kind] = now
                del self._counts[kind]
                log.error("%s (%d since the last such line, charged to no version)", kind, count)

    def nearly_out(self) -> bool:
        """Whether few descriptors are left: the lowest free number is high."""
        try:
            lowest = os.dup(self._reserve)
        except OSError:
            return True
        os.close(lowest)
        most = limit()
        return lowest >= most - min(RESERVED_FILES, most // 4) // 2

    def refuse(self, listening: socket.socket, words: bytes) -> bool:
        """Accept a waiting client on the reserved descriptor, send `words` and close; returns False if none waits."""
        if self._reserve < 0:
            return False
        os.close(self._reserve)
        self._reserve = -1
        try:
            with contextlib.suppress(OSError):
                connection = listening.accept()[0]
                with connection:
                    send_last(connection, words)
                return True
            return False
        finally:
            with contextlib.suppress(OSError):
                self._reserve = reserved()

    def close(self) -> None:
        """Log what is left, and release the reserved descriptor."""
        self._logged.clear()
        self.sweep()
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1


def send_last(connection: socket.socket, words: bytes) -> None:
    """Send the last bytes on a connection. Unread input is read first, or closing would be a reset."""
    with contextlib.suppress(OSError):
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connection.recv(READ)
        if words:
            connection.send(words)
            connection.shutdown(socket.SHUT_WR)


def reachable(host: str, port: int) -> bool:
    """Whether a literal address has a route: then the local ports are exhausted."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))
    except OSError as error:
        return error.errno in FILE_ERRORS or error.errno in MEMORY_ERRORS
    return True


def describe(number: int) -> str:
    """The cause and the remedy."""
    if number == errno.EMFILE:
        return (
            f"this process may not open more than {limit()} files; raise the limit (ulimit -n, LimitNOFILE=), or lower "
            "server.limits.max_connections"
        )
    if number == errno.ENFILE:
        return "the system may not open more files; raise fs.file-max"
    if number == errno.EADDRNOTAVAIL:
        return "no local port is left towards an endpoint; widen net.ipv4.ip_local_port_range, or add endpoints"
    return f"the system is short of memory for sockets ({os.strerror(number)})"
