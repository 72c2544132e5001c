"""The process that workers are forked from: it has imported the data plane, and has no thread and no event loop.

A fork takes milliseconds where a fresh interpreter takes a quarter of a second, and workers share the memory of the
code. Each order passes the channel of a new worker and is answered with its pid and pidfd. When the control socket
closes, the fork server kills its workers, unless it was ordered to retire.

It runs isolated (`canaryproxy.isolated`). Its arguments are inherited file descriptors: control socket, shared memory,
listeners.
"""

import contextlib
import gc
import logging
import mmap
import os
import signal
import socket
import sys
from types import FrameType

from setproctitle import setproctitle

from canaryproxy.app import worker
from canaryproxy.ipc.messages import FORK, PID, RETIRE
from canaryproxy.log import caught, configure

log = logging.getLogger("canaryproxy")


class ForkServer:
    """Forks workers that serve `sockets` and share `memory`."""

    def __init__(self, control: socket.socket, memory: mmap.mmap, sockets: list[socket.socket]) -> None:
        self._control = control
        self._memory = memory
        self._sockets = sockets
        self._children: set[int] = set()

    def __repr__(self) -> str:
        return f"<ForkServer {len(self._children)} workers>"

    def serve(self) -> socket.socket | None:
        """Fork on demand. Returns the channel's socket in a new worker, and None in the fork server when it ends. It
        also ends when a FORK order arrives without a descriptor (out of descriptors): the supervisor counts forks by
        answers.
        """
        signal.signal(signal.SIGCHLD, self._reap)
        while True:
            order, links = self._order()
            if order == FORK and not links:
                return None
            if order != FORK:
                if order != RETIRE:
                    self._kill()
                return None
            link = socket.socket(fileno=links[0])
            if self._fork():
                return link
            link.close()

    def _order(self) -> tuple[bytes, list[int]]:
        """The next order and its descriptors; empty when the supervisor closed the socket or was killed."""
        try:
            order, links, _, _ = socket.recv_fds(self._control, 1, 1)
        except ConnectionResetError:
            return b"", []
        return order, links

    def _fork(self) -> bool:
        """True in the new worker. SIGCHLD is blocked so that no child is reaped before its pidfd is open."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                self._control.close()
                return True
            self._children.add(pid)
            pidfd = os.pidfd_open(pid)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self._control, [PID.pack(pid)], [pidfd])
            os.close(pidfd)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        return False

    def _reap(self, _: int, __: FrameType | None) -> None:
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) > 0:
                self._children.discard(pid)

    def _kill(self) -> None:
        """The supervisor died: kill all workers."""
        for pid in set(self._children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """Entry point of the process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    configure()
    setproctitle("canaryproxy: fork server")
    with caught():
        try:
            _serve(*map(int, arguments))
        except Exception:
            log.exception("fork server ends after an internal error")
            sys.exit(1)


def _serve(control: int, memory: int, *listeners: int) -> None:
    """Run the fork server, and in each fork the worker."""
    sockets = [socket.socket(fileno=one) for one in listeners]
    shared = mmap.mmap(memory, 0)
    os.close(memory)
    # Frozen objects are not touched by collections, so their pages stay shared after a fork.
    gc.collect()
    gc.freeze()
    link = ForkServer(socket.socket(fileno=control), shared, sockets).serve()
    if link is not None:
        worker.run(link, sockets, shared)
