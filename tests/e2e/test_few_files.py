"""The real process with fewer descriptors than its clients want."""

import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.ports import free_port
from canaryproxy.model.failure import FAILURES
from tests.e2e.test_process import PATIENCE, ask, origins, until
from tests.support.process import ROOT

__all__ = ["origins"]

LIMIT = 128
CLIENTS = 200


@pytest.fixture
def many_files() -> None:
    """The test needs more than the process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))


def metrics(admin: int) -> dict[str, float]:
    lines = ask(admin, "/metrics").splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def status(client: socket.socket) -> bytes:
    """What it was answered; empty for one that gave way to another before its request was read."""
    try:
        return client.recv(12)[9:12]
    except ConnectionError:
        return b""


def test_who_cannot_be_served_is_refused_and_no_version_is_charged(
    origins: dict[str, int], tmp_path: Path, many_files: None
) -> None:
    port, admin, log = free_port(), free_port(), tmp_path / "log"
    command = [
        "sh", "-c", f'ulimit -n {LIMIT}; exec "$0" "$@"', sys.executable, "-m", "canaryproxy", "run", "--state", "memory",
        "--workers", "2", "--weight", "50", "--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin}",
        *(word for name in ("stable", "canary") for word in (f"--{name}", f"http://127.0.0.1:{origins[name]}")),
    ]  # fmt: skip
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT)
    assert process.stdout is not None
    clients: list[socket.socket] = []
    silent: list[socket.socket] = []
    try:
        assert process.stdout.readline(), log.read_text()
        assert "96 clients are served at once" in log.read_text()
        silent = [socket.create_connection(("127.0.0.1", admin), PATIENCE) for _ in range(2 * LIMIT)]
        for _ in range(CLIENTS):
            clients.append(socket.create_connection(("127.0.0.1", port), PATIENCE))
            clients[-1].sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        statuses = [status(one) for one in clients]
        assert {b"200", b"503"} <= set(statuses) <= {b"200", b"503", b""}
        assert statuses.count(b"200") >= 90
        for one in clients:
            one.close()
        until(lambda: ask(port) in ("stable", "canary"))
        refused = statuses.count(b"503")
        until(lambda: metrics(admin)['canaryproxy_connections_refused_total{reason="full"}'] >= refused)
        found = metrics(admin)
        assert found["canaryproxy_max_connections"] == 96
        failures = {
            name: value
            for name, value in found.items()
            if name.startswith("canaryproxy_attempts_total") and any(f'"{outcome}"' in name for outcome in FAILURES)
        }
        assert len(failures) == 2 * len(FAILURES)
        assert not any(failures.values()), (failures, log.read_text())
        assert "clients were refused" in log.read_text()
        assert log.read_text().count("clients were refused") <= 10
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        for one in (*clients, *silent):
            one.close()
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()
