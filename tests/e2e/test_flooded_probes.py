"""The real process while strangers hold its probes port, and its liveness by the socket."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.e2e.test_process import PATIENCE, ask, until
from tests.support.process import ROOT

LIMIT = 256
"""Descriptors of each process: 32 places for the probes port."""


class Running:
    """A process, and how to ask it."""

    def __init__(self, folder: Path) -> None:
        self.admin, self.probes, port = free_port(), free_port(), free_port()
        self.folder = folder
        self.log = folder / "log"
        (folder / "a.yaml").write_text(
            f"server: {{listen: 127.0.0.1:{port}, admin: {{listen: 127.0.0.1:{self.admin}}}, workers: 1, state: memory,\n"
            f"  probes: {{listen: 127.0.0.1:{self.probes}, socket: probes.sock}}}}\n"
            "stable: http://127.0.0.1:1\ncanary: http://127.0.0.1:2\n"
        )

    @contextlib.contextmanager
    def start(self) -> Iterator["subprocess.Popen[str]"]:
        command = [
            "sh",
            "-c",
            f'ulimit -n {LIMIT}; exec "$0" "$@"',
            sys.executable,
            "-m",
            "canaryproxy",
            "run",
            "a.yaml",
        ]
        environ = {**os.environ, "STATE_DIRECTORY": str(self.folder), "PYTHONPATH": str(ROOT)}
        with self.log.open("a") as stderr:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=self.folder, env=environ
            )
        assert process.stdout is not None
        try:
            assert process.stdout.readline(), self.log.read_text()
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)
            process.stdout.close()

    def probe(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """What the kubelet runs."""
        environ = {**os.environ, "STATE_DIRECTORY": str(self.folder), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "canaryproxy", "probe", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, env=environ)

    def put(self, weight: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)
        body = json.dumps({"canary": weight})
        connection.request("PUT", "/api/v1/routes/default/weight", body, {"Content-Type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\n"])
def test_silent_connections_stop_neither_health_nor_a_change_of_weight_nor_liveness(
    running: Running, sent: bytes
) -> None:
    with running.start() as process:
        flood: list[socket.socket] = []
        try:
            for number in range(600):
                flood.append(socket.create_connection(("127.0.0.1", running.probes), PATIENCE))
                with contextlib.suppress(OSError):
                    flood[-1].sendall(sent)
                if number % 100 == 99:
                    assert json.loads(ask(running.probes, "/healthz")) == {"status": "alive"}
                    assert json.loads(ask(running.admin, "/healthz")) == {"status": "alive"}
                    assert running.put(number // 100) == 200
            assert running.probe().stdout == "alive\n"
            assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < LIMIT // 2
            lines = ask(running.admin, "/metrics").splitlines()
            found = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}
            dropped = 'canaryproxy_control_connections_dropped_total{{listener="{}",reason="{}"}}'
            assert sum(found[dropped.format("probes", reason)] for reason in ("evicted", "silent")) >= 500
            assert sum(found[dropped.format("admin", reason)] for reason in ("evicted", "silent")) == 0
            assert found['canaryproxy_control_connections{listener="probes"}'] <= LIMIT // 8
            until(lambda: "connections dropped by the probes listener: " in running.log.read_text())
        finally:
            for one in flood:
                one.close()


def test_liveness_is_whether_the_event_loop_turns_and_a_kill_leaves_nothing_in_the_way(running: Running) -> None:
    with running.start() as process:
        assert running.probe("ready").stdout == "ready\n"
        process.send_signal(signal.SIGSTOP)
        stopped = running.probe("--timeout", "0.3")
        assert (stopped.returncode, stopped.stdout) == (1, "")
        assert "no answer within 0.3 s" in stopped.stderr
        process.send_signal(signal.SIGCONT)
        assert running.probe().returncode == 0
        process.kill()
        process.wait(PATIENCE)
        assert (running.folder / "probes.sock").is_socket()
        assert "nothing listens there" in running.probe().stderr
    with running.start() as process:
        assert running.probe().returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert not (running.folder / "probes.sock").exists()


def test_no_answer_names_the_versions_of_what_it_is_made_of(running: Running) -> None:
    with running.start():
        for port in (running.admin, running.probes):
            for request in (
                b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
                b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
                b"BOGUS\r\n\r\n",
                b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: x\r\nConnection: close\r\n\r\n",
                b"GET /" + b"a" * 40_000,
            ):
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
                    sock.sendall(request)
                    answer = b""
                    with contextlib.suppress(ConnectionResetError):  # it did not read the rest of what we sent
                        while more := sock.recv(65536):
                            answer += more
                head = answer.partition(b"\r\n\r\n")[0]
                assert head.startswith(b"HTTP/1."), request[:20]
                assert b"\r\nServer: canaryproxy" in head
                assert not any(name in answer.lower() for name in (b"aiohttp", b"python/"))
