"""`canaryproxy probe` on real sockets."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from canaryproxy import probe
from canaryproxy.probe import ProbeFailedError, Question, ask, read

ALIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
NOT_READY = (
    b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"title": "not ready", "detail": "0 of 2 workers serve\\u001b[2J"}'
)


@contextlib.contextmanager
def answering(path: Path, *pieces: bytes, pause: float = 0.0) -> Iterator[list[bytes]]:
    """A socket that answers one question in these pieces; what it was asked."""
    asked: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        sock, _ = listening.accept()
        with sock, contextlib.suppress(OSError):
            asked.append(sock.recv(1000))
            for piece in pieces:
                sock.sendall(piece)
                done.wait(pause)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            done.set()
            thread.join()


def test_alive_and_ready_are_asked_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with answering(path, ALIVE[:9], ALIVE[9:]) as asked:
        assert ask(Question(socket=str(path)), {}) == "alive"
    assert asked[0].startswith(b"GET /healthz HTTP/1.1\r\n")
    path.unlink()
    with answering(path, ALIVE) as asked:
        assert ask(Question("ready"), {probe.SOCKET: str(path)}) == "ready"
    assert asked[0].startswith(b"GET /readyz HTTP/1.1\r\n")


def test_the_socket_lies_beside_the_state_where_nothing_else_is_said(tmp_path: Path) -> None:
    with answering(tmp_path / "probes.sock", ALIVE):
        assert ask(Question(), {"STATE_DIRECTORY": f"{tmp_path}:/elsewhere"}) == "alive"


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((NOT_READY,), "503 Service Unavailable: 0 of 2 workers serve\\?\\[2J$"),
        ((b"HTTP/1.1 404 Not Found\r\n\r\n[]",), "404 Not Found$"),
        ((b"220 mail.example.com",), "no HTTP answer$"),
        ((), "closed without an answer; is it ending"),
    ],
)
def test_any_other_answer_is_a_no_in_one_line(tmp_path: Path, pieces: tuple[bytes, ...], words: str) -> None:
    with answering(tmp_path / "a", *pieces), pytest.raises(ProbeFailedError, match=words):
        ask(Question(socket=str(tmp_path / "a")), {})


@pytest.mark.parametrize("pieces", [(b"",) * 50, (b"H",) * 50])
def test_the_time_is_for_the_whole_answer_so_a_trickle_wins_none(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    with (
        answering(tmp_path / "a", *pieces, pause=0.02),
        pytest.raises(ProbeFailedError, match=r"no answer within 0\.2 s; it hangs"),
    ):
        ask(Question(socket=str(tmp_path / "a"), patience=0.2), {})


def test_a_process_that_takes_no_connections_is_said_to_hang(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(tmp_path / "a"))
        full.listen(0)
        callers = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(str(tmp_path / "a"))
        with pytest.raises(ProbeFailedError, match="hangs"):
            ask(Question(socket=str(tmp_path / "a"), patience=0.1), {})
        for caller in callers:
            caller.close()


def test_where_there_is_no_socket_it_says_so_or_asks_the_address(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    with pytest.raises(ProbeFailedError, match=r"no such socket; is it running, with `server\.probes\.socket`"):
        ask(Question(socket=path), {})
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(ProbeFailedError, match=f"^127.0.0.1:{port}: no answer within"):
            ask(Question(socket=path, address=f"127.0.0.1:{port}", patience=0.05), {})
    with pytest.raises(ProbeFailedError, match="nothing listens there"):
        ask(Question(socket=path, address=f":{port}"), {})
    with pytest.raises(ProbeFailedError, match="expected an address such as"):
        ask(Question(socket=path, address="localhost"), {})
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    with pytest.raises(ProbeFailedError, match=f"^{path}: nothing listens there"):
        ask(Question(socket=path, address=f"127.0.0.1:{port}"), {})


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        ([], Question()),
        (["ready"], Question("ready")),
        (["live", "--socket", "a", "--timeout=1.5s"], Question("live", "a", "", 1.5)),
        (["--address=:9901", "--socket=b"], Question("live", "b", ":9901")),
    ],
)
def test_plain_arguments_are_read_without_the_command_line(arguments: list[str], question: Question) -> None:
    assert read(arguments) == question


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["-h"], ["dead"], ["--socket"], ["--timeout", "0"], ["--timeout=x"], ["--timeout=nan"], ["live", "x"]],
)
def test_all_others_are_left_to_the_command_line(arguments: list[str]) -> None:
    assert read(arguments) is None


def test_it_is_one_line_and_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(tmp_path / "a", ALIVE):
        assert probe.run(Question(socket=str(tmp_path / "a")), {}) == 0
    assert capsys.readouterr() == ("alive\n", "")
    assert probe.run(Question(socket=str(tmp_path / "none")), {}) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("canaryproxy probe: ")


def test_it_loads_next_to_nothing(tmp_path: Path) -> None:
    with answering(tmp_path / "a", ALIVE):
        script = (
            "import runpy, sys\ntry: runpy.run_module('canaryproxy', run_name='__main__')\nfinally: print(*sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "probe", "--socket", str(tmp_path / "a")],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "CANARYPROXY_PLAIN": "1"},
        )
    said, _, modules = done.stdout.partition("\n")
    assert (said, done.returncode) == ("alive", 0)
    assert not {"typer", "asyncio", "aiohttp", "pydantic", "yaml", "json", "canaryproxy.cli"} & set(modules.split())
