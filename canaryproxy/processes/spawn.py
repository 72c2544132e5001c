"""Starting processes: the fork server, and workers through it.

Everything is inherited by file descriptor: the listening sockets, the memory that workers share, and the socket
that orders are given on. The processes stay in our session and process group. They run the package that we run and
none of what lies in the working directory, in PYTHONPATH or in the user's site-packages (`isolated`). Of our
environment they have what they need, and no token (`exposure`).
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from canaryproxy.dataplane.connection_count import initial_memory, memory_size
from canaryproxy.ipc.messages import FORK, PID, RETIRE
from canaryproxy.isolated import command
from canaryproxy.processes.confinement import environment

log = logging.getLogger("canaryproxy")

MODULE = "canaryproxy.app.forkserver"

RETRY_SECONDS = 0.5
"""Seconds from the end of a fork server, or a try that failed, to the next one."""

MIN_PID = 2
"""Of a process that can have been forked: 1 is the first of all."""

MAX_FAILED_STARTS = 3
"""Fork servers in a row that end before they forked anything, after which it is no accident."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A worker's process: its pid, and a descriptor that means this process for ever (pidfd_open(2))."""

    pid: int
    pidfd: int

    def kill(self) -> None:
        """End it at once; one that is gone already stays gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """It is not needed any more."""
        os.close(self.pidfd)


Spawned = Callable[[Handle], None]


class Processes:
    """The fork server as its client sees it. A fork server that dies is replaced; its workers live on."""

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
        """The fork server's."""
        return None if self._server is None else self._server.pid

    def start(self, cannot_spawn: Callable[[str], None] | None = None) -> None:
        """Start the fork server. Raises `OSError` where the system has no room for another process. `cannot_spawn` is
        called with a sentence when several in a row have ended and no worker has come of them.
        """
        self._cannot_spawn = cannot_spawn
        self._spawn()

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        passed = [theirs.fileno(), self._memory, *(sock.fileno() for sock in self._sockets)]
        with theirs:
            try:
                self._server = subprocess.Popen(
                    command(MODULE, *map(str, passed)), pass_fds=passed, env=environment(os.environ)
                )
            except OSError:
                ours.close()
                raise
        self._control = ours
        asyncio.get_running_loop().add_reader(ours, self._answered)

    def spawn(self, spawned: Spawned) -> socket.socket:
        """Have a worker forked; returns our end of its link. `spawned` gets its handle, unless the link breaks
        first.
        """
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
        """The end, or an answer to nothing that was asked for: which process is whose is not known any more."""
        for one in descriptors:
            os.close(one)
        if data:
            log.error(
                "the fork server sent an invalid answer, %s; stopping it and its workers", ascii(data[: PID.size])
            )
        self._lost()

    def _lost(self) -> None:
        """The fork server is gone. Workers that it did not get to fork find their link broken."""
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
        """Fork no more and close the listening sockets here and there: from now on only workers hold them."""
        self._retired = True
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(RETIRE)
        self._let_go()

    def abort(self) -> None:
        """End all workers at once, by letting the fork server find itself alone."""
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
    """A descriptor of memory that all workers share: `begin`, then zeros. Its size is sealed: a worker that could make
    it smaller would end all others, whose next look at it would be a bus error.
    """
    memory = os.memfd_create("canaryproxy", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, length)
    os.pwrite(memory, begin, 0)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return memory
