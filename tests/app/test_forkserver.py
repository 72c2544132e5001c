"""The fork server over its socket, as a process of its own and in ours."""

import mmap
import os
import signal
import socket

import pytest

from canaryproxy.app.forkserver import ForkServer
from canaryproxy.dataplane.connection_count import memory_size
from canaryproxy.ipc.messages import FORK, PID, RETIRE


def test_it_forks_answers_and_retires() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link, end = socket.socketpair()
    server = ForkServer(theirs, mmap.mmap(-1, memory_size(1)), [])
    socket.send_fds(ours, [FORK], [end.fileno()])
    end.close()
    ours.send(RETIRE)
    before = signal.getsignal(signal.SIGCHLD)
    try:
        child = server.serve()
        if child is not None:
            child.sendall(b"born")
            os._exit(0)
        data, descriptors, _, _ = socket.recv_fds(ours, 4, 1)
        assert link.recv(10) == b"born"
        assert PID.unpack(data)[0] > 0
        os.close(descriptors[0])
        assert link.recv(10) == b""
    finally:
        signal.signal(signal.SIGCHLD, before)
        for sock in (ours, theirs, link):
            sock.close()


def test_an_order_without_a_link_forks_no_one() -> None:
    """Where no descriptor was left for it, the order arrives alone."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = signal.getsignal(signal.SIGCHLD)
    try:
        ours.send(FORK)
        assert ForkServer(theirs, mmap.mmap(-1, 4096), []).serve() is None
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(4)
    finally:
        signal.signal(signal.SIGCHLD, before)
        ours.close()
        theirs.close()
