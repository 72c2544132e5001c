"""A real worker that a stranger has taken over: its end of the link is in other hands, and says what they like."""

import ctypes
import http.client
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.ports import free_port
from canaryproxy.ipc.codec import encode
from canaryproxy.ipc.messages import Acknowledged
from canaryproxy.model.report import CounterDelta, CounterKey, Delta, UsersDelta
from tests.e2e.test_inherited import descriptors, workers_of
from tests.e2e.test_process import ask, origins, two_urls, until
from tests.support.process import canaryproxy

__all__ = ["origins"]

PIDFD_GETFD = 438


def stolen(pid: int, number: int) -> socket.socket:
    """A socket of another process (pidfd_getfd(2)), as code that runs in it has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        found = libc.syscall(PIDFD_GETFD, pidfd, number, 0)
    finally:
        os.close(pidfd)
    if found < 0:
        pytest.skip(f"descriptors cannot be taken on this system: {os.strerror(ctypes.get_errno())}")
    return socket.socket(fileno=found)


def link_of(worker: int, supervisor: int) -> socket.socket:
    """The end of the link that a worker holds: the supervisor made the pair."""
    for number, what in descriptors(worker).items():
        if what.startswith("socket:"):
            sock = stolen(worker, number)
            pid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            if sock.family == socket.AF_UNIX and pid == supervisor:
                return sock
            sock.close()
    raise AssertionError("the worker has no link")


def got(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    body = connection.getresponse().read().decode()
    connection.close()
    return body


def users(level: int) -> bytes:
    return encode(Delta(1, time.monotonic(), users=(UsersDelta("default", "canary", 500, level),)))


def cell(count: int) -> bytes:
    now, key = time.monotonic(), CounterKey("default", "stable", "", "weight", True)
    return encode(Delta(1, now, (CounterDelta(key, int(now), count, {"success": count}, codes={200: count}),)))


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (lambda: users(2**62), "level is 4611686018427387904, allowed: 0 to 64"),
        (lambda: cell(-(10**9)), "starts is -1000000000, allowed: no negative number"),
        (lambda: encode(Acknowledged(2**40)), "the generation acknowledged is 1099511627776"),
        (lambda: b"\xff" * 100, "Introduction of 4294967295 bytes, at most 8192 are allowed"),
    ],
    ids=["level", "negative", "generation", "noise"],
)
def test_the_instance_goes_on_and_the_worker_is_replaced(
    says: Callable[[], bytes], words: str, origins: dict[str, int], tmp_path: Path
) -> None:
    admin = free_port()
    arguments = (*two_urls(origins), "--workers", "2", "--listen", "{listen}", "--admin-listen", f"127.0.0.1:{admin}")
    with canaryproxy(tmp_path, *arguments) as proxy:
        before = workers_of(proxy.process.pid)
        with link_of(before[0], proxy.process.pid) as link:
            link.sendall(says())
        until(lambda: before[0] not in workers_of(proxy.process.pid) and len(workers_of(proxy.process.pid)) == 2)
        until(lambda: "canaryproxy_workers 2.0" in got(admin, "/metrics"))
        said = got(admin, "/metrics")
        assert "canaryproxy_worker_restarts_total 1.0" in said
        assert sum(f'refused_total{{reason="{why}"}} 1.0' in said for why in ("garbled", "bounds", "failed")) == 1
        assert ask(proxy.port)
        assert f"worker 1 (pid {before[0]}) is killed and replaced, its message is rejected: " in proxy.log.read_text()
        assert words in proxy.log.read_text()
