"""The real process: start, serve, reload, drain, refuse."""

import contextlib
import http.client
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from canaryproxy import MODE, __version__
from canaryproxy.mode import PACKAGE
from tests.support.process import ASIDE, QUIET, ROOT, canaryproxy

PATIENCE = 60.0


class Named(http.server.BaseHTTPRequestHandler):
    """Answers with the name of its server; /slow takes a while."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/slow":
            time.sleep(0.7)
        body = self.server.name  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def origins() -> Iterator[dict[str, int]]:
    servers = {}
    for name in ("stable", "canary"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Named)
        server.name = name.encode()  # type: ignore[attr-defined]
        server.daemon_threads = True
        server.socket.listen(1024)  # the class asks for 5, which a busy machine overruns
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers[name] = server
    yield {name: server.server_address[1] for name, server in servers.items()}
    for server in servers.values():
        server.shutdown()
        server.server_close()


def ask(port: int, path: str = "/") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def written(origins: dict[str, int], port: int, weight: object) -> str:
    return (
        f"server: {{listen: '127.0.0.1:{port}', {ASIDE}}}\nstable: http://127.0.0.1:{origins['stable']}\n"
        f"canary: http://127.0.0.1:{origins['canary']}\nweight: {weight}\n"
    )


def two_urls(origins: dict[str, int]) -> list[str]:
    return ["--stable", f"http://127.0.0.1:{origins['stable']}", "--canary", f"http://127.0.0.1:{origins['canary']}"]


def test_two_urls_give_one_calm_line_and_an_exact_split(origins: dict[str, int], tmp_path: Path) -> None:
    with canaryproxy(tmp_path, *two_urls(origins), "--weight", "25", "--workers", "1", "--listen", "{listen}") as proxy:
        assert f"http://127.0.0.1:{proxy.port} -> route default" in proxy.banner
        assert [ask(proxy.port) for _ in range(100)].count("canary") == 25
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(PATIENCE) == 0
        assert (
            "served 100 requests: default canary 25 (0 failed), default stable 75 (0 failed)" in proxy.log.read_text()
        )


@pytest.mark.parametrize("plain", [True, False])
def test_workers_run_in_the_mode_that_the_start_line_tells(
    origins: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    if plain:
        monkeypatch.setenv("CANARYPROXY_PLAIN", "1")
    with canaryproxy(tmp_path, *two_urls(origins), "--workers", "1", "--listen", "{listen}") as proxy:
        assert ask(proxy.port) == "stable"
        assert f"canaryproxy {__version__} ({'plain Python' if plain else str(MODE)}" in proxy.banner
        for pid in processes_below(proxy.process.pid):
            mapped = str(PACKAGE) in Path(f"/proc/{pid}/maps").read_text()
            assert mapped == (MODE.compiled and not plain)


def test_sighup_reloads_and_a_broken_file_keeps_the_old_one_serving(origins: dict[str, int], tmp_path: Path) -> None:
    path, port = tmp_path / "a.yaml", free_port()
    path.write_text(written(origins, port, 0))
    with canaryproxy(tmp_path, str(path), port=port) as proxy:
        assert ask(port) == "stable"
        path.write_text(written(origins, port, "much"))
        proxy.process.send_signal(signal.SIGHUP)
        until(lambda: f'{path}:4:1: weight: found "much"; expected a percentage' in proxy.log.read_text())
        assert ask(port) == "stable"
        path.write_text(written(origins, port, 100))
        proxy.process.send_signal(signal.SIGHUP)
        until(lambda: ask(port) == "canary")


def test_a_swapped_configmap_is_followed_without_a_signal(origins: dict[str, int], tmp_path: Path) -> None:
    port = free_port()
    for name, weight in (("..v1", 0), ("..v2", 100)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(written(origins, port, weight))
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    with canaryproxy(tmp_path, str(tmp_path / "a.yaml"), port=port):
        assert ask(port) == "stable"
        (tmp_path / "..tmp").symlink_to("..v2")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        until(lambda: ask(port) == "canary")


def test_sigterm_finishes_what_is_open_and_exits_0(origins: dict[str, int], tmp_path: Path) -> None:
    """H52."""
    with canaryproxy(tmp_path, *two_urls(origins), "--listen", "{listen}") as proxy:
        answers: list[str] = []
        slow = threading.Thread(target=lambda: answers.append(ask(proxy.port, "/slow")))
        slow.start()
        time.sleep(0.2)
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(PATIENCE) == 0
        slow.join(PATIENCE)
        assert answers == ["stable"]


def test_a_port_in_use_is_one_line_and_exit_code_1(origins: dict[str, int], tmp_path: Path) -> None:
    with canaryproxy(tmp_path, *two_urls(origins), "--listen", f"127.0.0.1:{origins['stable']}") as proxy:
        assert proxy.process.wait(PATIENCE) == 1
        said = proxy.log.read_text()
        assert said == f"cannot listen on 127.0.0.1:{origins['stable']}: another process listens there\n"


def test_help_is_quick_to_load_and_shows_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "canaryproxy", "run", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "canaryproxy run --stable http://localhost:9001" in " ".join(done.stdout.replace("│", " ").split())
    imported = subprocess.run(
        [sys.executable, "-c", "import canaryproxy.cli, sys; print([m for m in ('aiohttp', 'pydantic', 'uvloop') if m in sys.modules])"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    assert imported.stdout == "[]\n"


def test_a_sighup_while_it_starts_is_a_reload_and_not_the_end(origins: dict[str, int], tmp_path: Path) -> None:
    path, port = tmp_path / "a.yaml", free_port()
    path.write_text(written(origins, port, 0))
    command = [sys.executable, "-m", "canaryproxy", "run", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        until(lambda: _listens(port))
        process.send_signal(signal.SIGHUP)
        until(lambda: ask(port) == "stable")
        assert process.stdout is not None
        assert process.stdout.readline()  # one worker may serve while the other still starts, and SIGTERM ends a start
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def processes_below(pid: int) -> dict[int, str]:
    """The titles of a process and all its descendants that have not ended meanwhile."""
    found: dict[int, str] = {}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found[pid] = title
        for child in children:
            found |= processes_below(int(child))
    return found


def test_every_process_says_what_it_is_and_all_are_one_group(origins: dict[str, int], tmp_path: Path) -> None:
    with canaryproxy(tmp_path, *two_urls(origins), "--workers", "2", "--listen", "{listen}") as proxy:
        found = processes_below(proxy.process.pid)
        assert sorted(found.values()) == [
            "canaryproxy: fork server", "canaryproxy: supervisor", "canaryproxy: worker 1", "canaryproxy: worker 2",
        ]  # fmt: skip
        assert len({(os.getpgid(pid), os.getsid(pid)) for pid in found}) == 1
        proxy.process.kill()
        proxy.process.wait(PATIENCE)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in found))


@pytest.mark.needs("unshare")
@pytest.mark.needs("nsenter")
def test_as_pid_1_it_reaps_orphans_and_drains_on_sigterm(origins: dict[str, int], tmp_path: Path) -> None:
    """As the only process of a container."""
    port = free_port()
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "canaryproxy", "run", *two_urls(origins),
               "--workers", "2", "--listen", f"127.0.0.1:{port}", *QUIET]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        assert "(pid 1)" in process.stdout.readline()
        first = next(pid for pid, title in processes_below(process.pid).items() if title.endswith("supervisor"))
        subprocess.run(
            ["nsenter", "--target", str(first), "--pid", "sh", "-c", "sleep 0.2 & sleep 0.3 & exit 0"], check=True
        )
        until(lambda: "sleep 0.2" in processes_below(first).values())
        until(lambda: not any(title.startswith("sleep") for title in processes_below(first).values()))
        until(lambda: len(processes_below(first)) == 4)
        os.kill(processes_below(first).popitem()[0], signal.SIGKILL)
        until(lambda: ask(port) == "stable")
        os.kill(first, signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)
