"""Attacks that need no flood: one connection, one file, one report. Each meets the base and this checkout."""

import ctypes
import http.client
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.attacks.subjects import Build
from bench.attacks.verdict import BASE, OURS
from bench.base import base
from bench.ports import free_port
from bench.processes import end, family, wait_for
from bench.prove import DisprovedError

ROOT = Path(__file__).parents[2]
SECRET = "single-attack-0123456789abcdef"
PIDFD_GETFD = 438
TICKS = os.sysconf("SC_CLK_TCK")
REQUESTS = 20
CHUNKS = b"".join(b"1\r\nx\r\n" for _ in range(43_690)) + b"0\r\n\r\n"
RULES = "".join(f"      - {{name: r{n}, cookies: {{c: {{regex: 'a.*b{n}'}}}}, to: canary}}\n" for n in range(200))
COOKIES = b"c=" + b"a" * 60_000
STREAMS = 64


@dataclass(frozen=True, slots=True)
class Found:
    """Whether an attack succeeded, and what was seen."""

    succeeded: bool
    seen: str


class Target:
    """A build that runs with one worker, in a folder of its own."""

    def __init__(self, build: Build, folder: Path, routes: str = "") -> None:
        self.build, self.folder = build, folder
        self.front, self.admin, self.origin = free_port(), free_port(), free_port()
        self.log = folder / "log"
        config = folder / "a.yaml"
        config.write_text(
            f"server:\n  listen: 127.0.0.1:{self.front}\n  workers: 1\n  state: {folder}/a.db\n"
            f"  admin:\n    listen: 127.0.0.1:{self.admin}\n"
            "    tokens:\n      - {name: ci, role: write, token: '${CI_TOKEN}'}\n"
            "      - {name: op, role: read, token: '${CI_TOKEN}-op'}\n"
            f"routes:\n  app:\n    stable: http://127.0.0.1:{self.origin}\n"
            f"    canary: http://127.0.0.1:{self.origin}\n{routes}"
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [build.python, "-P", "-m", "canaryproxy", "run", str(config)],
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, "CI_TOKEN": SECRET},
                start_new_session=True,
                umask=0o022,
            )
        wait_for(self.front, self.process)
        time.sleep(0.5)

    def ask(self, path: str, token: str = SECRET) -> http.client.HTTPResponse:
        """A response of the admin API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        response.read()
        return response

    def worker(self) -> int:
        """Its process."""
        for pid in family(self.process.pid):
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"canaryproxy: worker"):
                return pid
        raise RuntimeError("it has no worker")


@contextmanager
def target(build: Build, routes: str = "") -> Iterator[Target]:
    """It runs, and ends."""
    with tempfile.TemporaryDirectory(prefix="single-") as folder:
        made = Target(build, Path(folder), routes)
        try:
            yield made
        finally:
            end(made.process)


def report(build: Build) -> Found:
    """A worker's own end of the link says that its sample has been halved 2^62 times."""
    message = subprocess.run([build.python, "-P", "-c", MESSAGE], capture_output=True, check=True, cwd="/").stdout
    with target(build) as one:
        link = _link(one.worker(), one.process.pid)
        link.sendall(message)
        time.sleep(1)
        try:
            return Found(False, f"/healthz is answered {one.ask('/healthz').status}")
        except OSError as error:
            return Found(True, f"/healthz: {type(error).__name__} after 5 s")


MESSAGE = """
import sys, time
from canaryproxy.ipc.codec import encode
from canaryproxy.model.report import Delta, Users
sys.stdout.buffer.write(encode(Delta(1, time.monotonic(), users=(Users("app", "canary", 500, 2**62),))))
"""


def _link(worker: int, supervisor: int) -> socket.socket:
    """The end of the link that a worker holds, as code that runs in it has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(worker)
    for entry in Path(f"/proc/{worker}/fd").iterdir():
        if entry.readlink().name.startswith("socket:"):
            found = socket.socket(fileno=libc.syscall(PIDFD_GETFD, pidfd, int(entry.name), 0))
            peer = struct.unpack("3i", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            if found.family == socket.AF_UNIX and peer == supervisor:
                return found
            found.close()
    raise RuntimeError("the worker has no link")


def log_line(build: Build) -> Found:
    """A path that holds a line feed and an escape sequence, with a wrong token."""
    with target(build) as one:
        one.ask("/api/v1/routes/%0aFORGED%20line%1b[31m", "wrong")
        text = one.log.read_bytes()
    lines = [line for line in text.splitlines() if line.startswith(b"FORGED")]
    return Found(bool(lines) or b"\x1b" in text, f"{len(lines)} forged lines, {text.count(0x1B)} escape characters")


def secret_in_error(build: Build) -> Found:
    """A value of the environment where another one is expected."""
    with tempfile.TemporaryDirectory(prefix="single-") as folder:
        config = Path(folder, "a.yaml")
        config.write_text("stable: http://127.0.0.1:1\ncanary: http://127.0.0.1:2\nweight: ${WEIGHT}\n")
        said = subprocess.run(
            [build.python, "-P", "-m", "canaryproxy", "check", str(config)],
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, "WEIGHT": SECRET},
            check=False,
        )
    found = re.search(r'found[^"]*"[^"]*"|found[^,\n]*', said.stdout + said.stderr)
    shown = SECRET in said.stdout + said.stderr
    return Found(shown, (found[0] if found else "nothing is said").replace(SECRET, "(the secret)"))


def token_in_worker(build: Build) -> Found:
    """The memory of the fork server and of the worker, searched for the token of the API."""
    with target(build) as one:
        counts = [_count(pid) for pid in family(one.process.pid) if pid != one.process.pid]
    return Found(any(counts), f"found {sum(counts)} times in {len(counts)} processes")


def _count(pid: int) -> int:
    """How often the token lies in the writable memory of a process."""
    found = 0
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            begin, stop = (int(word, 16) for word in place.split("-"))
            if rights.startswith("rw"):
                with suppress(OSError):
                    memory.seek(begin)
                    found += memory.read(stop - begin).count(SECRET.encode())
    return found


def state_mode(build: Build) -> Found:
    """The files of the state, under the usual umask."""
    with target(build) as one:
        modes = {path.name: path.stat().st_mode & 0o777 for path in one.folder.glob("a.db*")}
    return Found(any(mode & 0o077 for mode in modes.values()), ", ".join(f"{k} {v:04o}" for k, v in modes.items()))


def server_field(build: Build) -> Found:
    """What the admin API says of the programs it is made of."""
    with target(build) as one:
        field = one.ask("/healthz").headers.get("Server", "")
    return Found(bool(re.search(r"\d", field)), f"Server: {field or '(none)'}")


def chunks(build: Build) -> Found:
    """256 KiB of one-byte chunks."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return _cpu(build, head + CHUNKS, 10.0)


def cookies(build: Build) -> Found:
    """A request with 60 KiB of cookies, before 200 rules with a regular expression each."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: " + COOKIES + b"\r\n\r\n"
    return _cpu(build, head, 3.0, f"    rules:\n{RULES}")


def _cpu(build: Build, request: bytes, most_ms: float, routes: str = "") -> Found:
    """What a worker spends on a request."""
    with target(build, routes) as one, _origin(one.origin):
        pid = one.worker()
        before = _ticks(pid)
        for _ in range(REQUESTS):
            with socket.create_connection(("127.0.0.1", one.front), 30) as sock, suppress(ConnectionError):
                sock.sendall(request)
                while sock.recv(65_536):
                    pass
        spent = (_ticks(pid) - before) / TICKS / REQUESTS * 1000
    return Found(spent > most_ms, f"{spent:.1f} ms of CPU a request, {REQUESTS} requests")


@contextmanager
def _origin(port: int) -> Iterator[None]:
    """Takes each request to its end, and answers it."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        threading.Thread(target=_serve, args=(listening,), daemon=True).start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            sock = listening.accept()[0]
            with sock, suppress(ConnectionError):
                data = b""
                while not data.endswith(b"\r\n\r\n") or (data[:4] == b"POST" and not data.endswith(b"\r\n0\r\n\r\n")):
                    more = sock.recv(1 << 20)
                    if not more:
                        break
                    data += more
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def _ticks(pid: int) -> int:
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))


def streams(build: Build) -> Found:
    """64 streams of events that do not read, and one more from another address, with another token."""
    ask = "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\r\n"
    with target(build) as one:
        at = ("127.0.0.1", one.admin)
        held = [socket.create_connection(at, 5, ("127.0.0.2", 0)) for _ in range(STREAMS)]
        for sock in held:
            with suppress(OSError):
                sock.sendall(ask.format(SECRET).encode())
        time.sleep(1)
        with socket.create_connection(at, 5, ("127.0.0.3", 0)) as late:
            late.sendall(ask.format(f"{SECRET}-op").encode())
            status = late.recv(64).split(b" ")[1].decode()
        for sock in held:
            sock.close()
    return Found(status != "200", f"one more stream is answered {status}")


@dataclass(frozen=True, slots=True)
class Single:
    """One attack, of an item of the list that `docs/security.md` answers."""

    name: str
    sentence: str
    attack: Callable[[Build], Found]

    def show(self) -> str:
        """What it did to the base and does here. Raises `DisprovedError` where it fails there or succeeds here."""
        before = self.attack(Build(BASE, *base()))
        now = self.attack(Build(OURS, Path(sys.executable), ROOT))
        said = f"{BASE}: {before.seen}; now: {now.seen}"
        if now.succeeded or not before.succeeded:
            raise DisprovedError(said)
        return said


SINGLES = (
    Single("report", "One report of a worker that was taken over hangs the supervisor", report),
    Single("log-line", "A decoded path writes lines of its own and escape sequences into the log", log_line),
    Single("secret-in-error", "An error of the config shows a value of the environment", secret_in_error),
    Single("token-in-worker", "A worker has the token of the API in its memory", token_in_worker),
    Single("state-mode", "Other users read the state", state_mode),
    Single("server-field", "The admin API names versions", server_field),
    Single("chunks", "256 KiB of one-byte chunks hold the loop", chunks),
    Single("cookies", "200 regex rules take cookies apart once each", cookies),
    Single("streams", "Streams of events that do not read keep all places", streams),
)
