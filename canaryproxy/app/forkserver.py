"""The process that workers are forked from: the data plane imported once, no thread, no loop, nothing open.

A fork takes milliseconds where a fresh interpreter takes a quarter of a second, so a worker that dies is replaced
before a client notices, and all of them share the memory of the code. It takes orders over a socket: each
message brings the link of a new worker and is answered with its pid and a pidfd. It ends with that socket, and
terminates its workers unless it was ordered to retire.

It is started isolated (`canaryproxy.isolated`). Its arguments are numbers of inherited file descriptors: of the control
socket, the shared memory, and the listeners.
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
        """Fork on demand until the end. Returns a link in a new worker, None in the fork server itself: also where no
        descriptor was left for a link, so that the supervisor's count of who was forked stays true.
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
        """The next order and what came along; empty at the end, however it came: a supervisor that is killed while
        answers wait for it resets the socket.
        """
        try:
            order, links, _, _ = socket.recv_fds(self._control, 1, 1)
        except ConnectionResetError:
            return b"", []
        return order, links

    def _fork(self) -> bool:
        """Whether this is the new worker. No child is reaped before its pidfd is open."""
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
        """The supervisor is gone, and the instance with it."""
        for pid in set(self._children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """The process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    configure()
    setproctitle("canaryproxy: fork server")
    with caught():
        try:
            _serve(*map(int, arguments))
        except Exception:
            log.exception("the process ends")
            sys.exit(1)


def _serve(control: int, memory: int, *listeners: int) -> None:
    """The fork server, and each of its workers, to their ends."""
    sockets = [socket.socket(fileno=one) for one in listeners]
    shared = mmap.mmap(memory, 0)
    os.close(memory)
    gc.collect()
    gc.freeze()
    link = ForkServer(socket.socket(fileno=control), shared, sockets).serve()
    if link is not None:
        worker.run(link, sockets, shared)
