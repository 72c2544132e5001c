"""The image: linted, built step by step, and started as a container is."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.packaging.dockerfile import PATH, SOURCES, Build, building
from tests.support.process import ROOT

PATIENCE = 60.0

ORIGIN = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(sys.argv[2])))
        self.end_headers()
        self.wfile.write(sys.argv[2].encode())
    def log_message(self, *_): pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hello).serve_forever()
"""

pytestmark = [
    pytest.mark.xdist_group("container"),
    *(
        pytest.mark.needs(program)
        for program in ("unshare", "nsenter", "chroot", "setpriv", "curl", "ip", "python3-config")
    ),
]


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("hadolint")), str(ROOT / "Dockerfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_dockerignore_lets_through_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == set(SOURCES)


@pytest.fixture(scope="module")
def build() -> Iterator[Build]:
    if os.geteuid() != 0:
        pytest.skip("only root can build in namespaces of its own")
    with building() as made:
        _follow(made)
        made.inside("ip", "link", "set", "lo", "up")
        yield made


def _follow(made: Build) -> None:
    """Steps that install need the machine's network, the container gets one of its own."""
    enter = made.enter
    made.enter = lambda *command: [one for one in enter(*command) if one != "--net"]  # type: ignore[method-assign]
    made.follow()
    made.enter = enter  # type: ignore[method-assign]


def curl(build: Build, path: str) -> tuple[int, str]:
    """Ask inside the container's network: status, 0 without an answer, and body."""
    done = subprocess.run(
        build.enter("curl", "--silent", "--max-time", "5", "--write-out", "\n%{http_code}", f"http://127.0.0.1:{path}"),
        capture_output=True,
        text=True,
        check=False,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def origins(build: Build) -> Iterator[None]:
    running = [
        subprocess.Popen(build.enter("env", "-i", f"PATH={PATH}", "python3", "-c", ORIGIN, port, name))
        for port, name in (("8101", "stable"), ("8102", "canary"))
    ]
    try:
        until(lambda: curl(build, "8101/")[0] == curl(build, "8102/")[0] == 200)
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


@contextlib.contextmanager
def container(build: Build, log: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A started container and the process id, seen from here, of its first process."""
    environ = {"STABLE_URL": "http://127.0.0.1:8101", "CANARY_URL": "http://127.0.0.1:8102"}
    with log.open("ab") as output:
        process = subprocess.Popen(build.started(environ=environ), stdout=output, stderr=output)
    try:
        until(lambda: curl(build, "9901/readyz")[0] == 200 or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield process, _first(process)
    finally:
        if process.poll() is None:  # unshare's --kill-child ends where the child changes its user (prctl(2))
            os.kill(_first(process), signal.SIGKILL)
        process.wait(PATIENCE)


def _first(process: "subprocess.Popen[bytes]") -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def healthy(build: Build) -> bool:
    command = build.enter("chroot", build.image.root, "env", f"PATH={build.image.environ['PATH']}", *build.image.health)
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_every_step_of_the_dockerfile_can_be_taken(build: Build) -> None:
    said = build.inside("chroot", build.image.root, "/opt/canaryproxy/bin/canaryproxy", "--help")
    assert "explain" in said
    data = build.inside("chroot", build.image.root, "env", "-i", "/opt/canaryproxy/bin/canaryproxy", "--version")
    assert "(compiled, " in data
    owner = build.inside("stat", "--format", "%u:%g %a", f"{build.image.root}/var/lib/canaryproxy").strip()
    assert owner == "65532:65532 750"
    assert build.inside("sh", "-c", f"ls {build.image.root}/build 2>/dev/null || true") == ""
    assert "canaryproxy:x:65532:65532" in build.inside("cat", f"{build.image.root}/etc/passwd")
    assert "65532" not in Path("/etc/passwd").read_text()
    assert build.image.ports == [8080, 9900, 9901]


def test_the_container_serves_as_an_unprivileged_user_writes_only_state_and_drains(
    build: Build, tmp_path: Path
) -> None:
    log = tmp_path / "container.log"
    assert not healthy(build)
    with origins(build):
        with container(build, log) as (process, first):
            status = Path(f"/proc/{first}/status").read_text()
            assert "NSpid:" in status
            assert status.partition("NSpid:")[2].split("\n")[0].split()[-1] == "1"
            assert status.partition("Uid:")[2].split()[:2] == ["65532", "65532"]
            assert int(status.partition("CapEff:")[2].split()[0], 16) == 0
            assert status.partition("NoNewPrivs:")[2].split()[0] == "1"
            assert os.readlink(f"/proc/{first}/cwd") == build.image.root  # noqa: PTH115 - it is seen from outside
            assert curl(build, "8080/") == (200, "stable")
            assert curl(build, "9901/healthz")[0] == 200
            assert healthy(build)
            asked = _inside(build, first, *build.image.health[:5])
            assert (asked.returncode, asked.stdout) == (0, "ready\n"), asked.stderr
            changed = _inside(build, first, "canaryproxy", "weight", "default", "100")
            assert changed.returncode == 0, changed.stderr
            assert curl(build, "8080/") == (200, "canary")
            refused = _inside(
                build, first, "sh", "-c", "touch /opt/unwritten /etc/canaryproxy/unwritten /tmp/unwritten"
            )
            assert refused.stderr.count("Read-only file system") == 3
            os.kill(first, signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, log.read_text()
            assert not healthy(build)
        with container(build, log):
            assert curl(build, "8080/") == (200, "canary")
    lines = log.read_text().splitlines()
    assert all(json.loads(line) for line in lines if line.startswith("{"))
    assert "Traceback" not in log.read_text()


def _inside(build: Build, first: int, *command: str) -> "subprocess.CompletedProcess[str]":
    """What `docker exec` does."""
    environ = [f"{key}={value}" for key, value in build.image.environ.items() if not key.startswith("PIP_")]
    return subprocess.run(
        [
            "nsenter",
            "--target",
            str(first),
            "--mount",
            "--net",
            "--pid",
            "--root",
            "--wd",
            "--setuid",
            "65532",
            "--setgid",
            "65532",
            "env",
            "-i",
            *environ,
            *command,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
