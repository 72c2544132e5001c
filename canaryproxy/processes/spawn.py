"""Starting processes: the fork server, and workers through it.

Sockets and memory are inherited by file descriptor. The processes run this package and nothing from the working
directory, PYTHONPATH or the user's site-packages (`isolated`), with an environment that holds no token (`environment`).
"""

import asyncio
import contextlib
import ctypes
import fcntl
import logging
import os
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from canaryproxy.dataplane.connection_count import initial_memory, memory_size
from canaryproxy.ipc.messages import FORK, PID, RETIRE
from canaryproxy.isolated import command
from canaryproxy.log import FORMAT
from canaryproxy.mode import SWITCH

log = logging.getLogger("canaryproxy")

MODULE = "canaryproxy.app.forkserver"

# Seconds before a fork server that ended, or could not be started, is started again.
RETRY_SECONDS = 0.5

# The smallest pid a forked process can have: 1 is init.
MIN_PID = 2

# Fork servers in a row that end before forking anything, after which `cannot_spawn` is called.
MAX_FAILED_STARTS = 3

# Names of the variables that children inherit. None is Python's own: children are started isolated from those.
KEPT = frozenset(
    f"{FORMAT} {SWITCH} LANG LANGUAGE TZ TZDIR PATH TMPDIR LD_LIBRARY_PATH LD_PRELOAD SSL_CERT_FILE SSL_CERT_DIR "
    "GLIBC_TUNABLES ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS".split()
)

FAMILIES = ("LC_", "MALLOC_", "OPENSSL_")

# prctl(2).
PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class Handle:
    """A worker's process: its pid, and a pidfd, which unlike the pid is never reused (pidfd_open(2))."""

    pid: int
    pidfd: int

    def kill(self) -> None:
        """Send SIGKILL; no error if the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Close the pidfd."""
        os.close(self.pidfd)


Spawned = Callable[[Handle], None]


class Processes:
    """Client of the fork server. A fork server that dies is replaced; its workers live on."""

    def __init__(self, sockets: list[socket.socket], slots: int) -> None:
        self._sockets = sockets
        self._memory = shared_memory(memory_size(slots), initial_memory(slots))
        self._births: deque[Spawned] = deque()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._retired = False
        self._ended = 0
        self._cannot_spawn: Callable[[str], None] | None = None

    def __repr__(self) -> str:
        return f"<Processes forked by {self._server.pid if self._server else 'no fork server'}>"

    @property
    def pid(self) -> int | None:
        """The fork server's pid."""
        return None if self._server is None else self._server.pid

    def start(self, cannot_spawn: Callable[[str], None] | None = None) -> None:
        """Start the fork server, or raise `OSError`. `cannot_spawn` is called when several end without a worker."""
        self._cannot_spawn = cannot_spawn
        self._spawn()

    def _spawn(self) -> None:
        # SEQPACKET keeps message boundaries: an order arrives together with its descriptor.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        passed = [theirs.fileno(), self._memory, *(sock.fileno() for sock in self._sockets)]
        with theirs:
            try:
                arguments = command(MODULE, *map(str, passed))
                self._server = subprocess.Popen(arguments, pass_fds=passed, env=environment(os.environ))
            except OSError:
                ours.close()
                raise
        self._control = ours
        asyncio.get_running_loop().add_reader(ours, self._answered)

    def spawn(self, spawned: Spawned) -> socket.socket:
        """Fork a worker; returns our end of its channel. `spawned` gets the handle, if the channel does not break."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        with theirs, contextlib.suppress(OSError):
            if self._control is not None:
                socket.send_fds(self._control, [FORK], [theirs.fileno()])
                self._births.append(spawned)
        return ours

    def _answered(self) -> None:
        control = self._control
        if control is None:
            return
        try:
            data, descriptors, flags, _ = socket.recv_fds(control, PID.size, 1)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors, flags = b"", [], 0
        # A truncated or short message is no answer; pid 0 marks it as such.
        pid = PID.unpack(data)[0] if len(data) == PID.size and not flags & socket.MSG_TRUNC else 0
        if pid < MIN_PID or not self._births:
            self._misunderstood(data, descriptors)
            return
        self._ended = 0
        spawned = self._births.popleft()
        if descriptors:
            spawned(Handle(pid, descriptors[0]))
        else:
            log.error("worker with pid %d cannot be watched: no file descriptor is left for it", pid)

    def _misunderstood(self, data: bytes, descriptors: list[int]) -> None:
        """The socket was closed, or an answer was invalid. The match of answers to requests is lost, so start over."""
        for one in descriptors:
            os.close(one)
        if data:
            log.error("invalid answer of the fork server, %s; stopping it and its workers", ascii(data[: PID.size]))
        self._lost()

    def _lost(self) -> None:
        """Replace the fork server. Workers it did not get to fork find their channel broken."""
        self._hang_up()
        self._births.clear()
        if self._retired:
            return
        log.error("the fork server ended; restarting it")
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self._restart)
        self._ended += 1
        if self._ended == MAX_FAILED_STARTS and self._cannot_spawn is not None:
            code = None if self._server is None else self._server.returncode
            self._cannot_spawn(f"the fork server ends before a worker comes of it (exit code {code}); see the log")

    def _restart(self) -> None:
        if self._retired:
            return
        try:
            self._spawn()
        except OSError as error:
            log.error("the fork server cannot be started: %s; retrying", error)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._restart)

    def _hang_up(self) -> None:
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
            self._control = None
        if self._server is not None:
            try:
                self._server.wait(0.1)
            except subprocess.TimeoutExpired:  # on a busy machine; it is reaped when it has ended
                threading.Thread(target=self._server.wait, daemon=True).start()

    def retire(self) -> None:
        """Stop forking and close the listening sockets, here and in the fork server, so that only workers hold them."""
        self._retired = True
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(RETIRE)
        self._let_go()

    def abort(self) -> None:
        """Kill all workers by closing the control socket: the fork server then kills its children."""
        self._retired = True
        self._hang_up()
        self._let_go()

    def _let_go(self) -> None:
        for sock in self._sockets:
            sock.close()
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1


def shared_memory(length: int, begin: bytes) -> int:
    """A memfd of `begin`, then zeros. Its size is sealed: a worker that shrank it would kill others with SIGBUS."""
    memory = os.memfd_create("canaryproxy", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, length)
    os.pwrite(memory, begin, 0)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return memory


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of our environment that the fork server and the workers get."""
    return {name: value for name, value in environ.items() if name in KEPT or name.startswith(FAMILIES)}


def deny_dumps() -> None:
    """Forbid processes of the same user, as which workers run, to read our memory or to trace us; no core dumps."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
