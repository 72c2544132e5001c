"""One who goes on while a flood runs, in a process of its own: `python -m bench.attacks.watch KIND PLAN`.

`bystander`: a request every 20 ms on a connection that stays. `newcomer`: a connection of its own for each request.
`health`: the same, of the probe; `liveness`: the same, on the probe's Unix socket. `weight`: the same, a PUT of the
weight. `wakeup`: sleeps 5 ms, and asks nothing: how late it wakes is what the machine adds to every other figure.

A latency counts from the moment the request was sent. What was due while it waited counts too, from when it was due, so
one that waits for 5 s slows all that it kept from being sent. Ends with its standard input and prints the samples.
"""

import contextlib
import json
import select
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

from bench.processes import program


class Sample(NamedTuple):
    """`at`: the monotonic clock when it was due. `failed` ones have the time after which they were given up."""

    at: float
    seconds: float
    failed: bool
    first: bool
    """False: due while an earlier one waited."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, how often, from which address. `requests` are sent in turn."""

    port: int
    requests: tuple[str, ...]
    every: float
    patience: float
    address: str = "127.0.0.1"
    stays: bool = False
    tls: bool = False
    path: str = ""
    """Of a Unix socket, instead of the port."""


class Watcher:
    """A process that watches on a core; `end` returns its samples."""

    def __init__(self, kind: str, plan: Plan, core: int) -> None:
        words = [program("taskset"), "-c", str(core), sys.executable, "-m", "bench.attacks.watch", kind]
        self._process = subprocess.Popen(
            [*words, json.dumps(asdict(plan))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def end(self) -> list[Sample]:
        """Stop it. Raises `RuntimeError` where it says nothing that can be read."""
        output = self._process.communicate(timeout=60)[0]
        if self._process.returncode:
            raise RuntimeError(f"a watcher ended with {self._process.returncode}")
        return [Sample(*one) for one in json.loads(output)]


def due(began: float, ended: float, every: float, given_up: float = 0.0) -> Iterator[Sample]:
    """The samples of one request: its own, and those of what was due while it was under way. One that failed counts
    with the time after which it is given up, however soon it failed.
    """
    yield Sample(began, max(ended - began, given_up), given_up > 0, True)
    for number in range(1, int((ended - began) / every) + 1):
        at = began + number * every
        yield Sample(at, ended - at, given_up > 0, False)


def _main() -> None:
    kind, text = sys.argv[1], sys.argv[2]
    fields = json.loads(text)
    plan = Plan(**{**fields, "requests": tuple(fields["requests"])})
    samples = list(_wakeups() if kind == "wakeup" else _asked(plan))
    print(json.dumps(samples))


def _ended(seconds: float) -> bool:
    """Sleep, unless the input ends first."""
    return bool(select.select([sys.stdin], [], [], max(0.0, seconds))[0])


def _wakeups() -> Iterator[Sample]:
    while True:
        began = time.monotonic()
        if _ended(0.005):
            return
        yield Sample(began, max(0.0, time.monotonic() - began - 0.005), False, True)


def _asked(plan: Plan) -> Iterator[Sample]:
    turn, wire = 0, None
    context = _unchecked() if plan.tls else None
    next_one = time.monotonic()
    while not _ended(next_one - time.monotonic()):
        began = time.monotonic()
        try:
            wire = wire or _connect(plan, context)
            answered = _ask(wire, plan.requests[turn % len(plan.requests)].encode(), began + plan.patience)
        except OSError:
            answered = False
        ended = time.monotonic()
        if wire is not None and not (plan.stays and answered):
            with contextlib.suppress(OSError):
                wire.close()
            wire = None
        turn += 1
        yield from due(began, ended, plan.every, 0.0 if answered else plan.patience)
        next_one = max(next_one + plan.every, ended)


def _unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connect(plan: Plan, context: ssl.SSLContext | None) -> socket.socket:
    if plan.path:
        wire = socket.socket(socket.AF_UNIX)
        wire.settimeout(plan.patience)
        try:
            wire.connect(plan.path)
        except OSError:
            wire.close()
            raise
        return wire
    wire = socket.create_connection(("127.0.0.1", plan.port), plan.patience, (plan.address, 0))
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return wire
    try:
        return context.wrap_socket(wire, server_hostname="shop.example.com")
    except OSError:
        wire.close()
        raise


def _ask(wire: socket.socket, request: bytes, until: float) -> bool:
    """Whether the answer is 2xx and whole."""
    wire.settimeout(max(0.001, until - time.monotonic()))
    wire.sendall(request)
    got = b""
    while b"\r\n\r\n" not in got:
        got += _more(wire, until)
    head, _, body = got.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields.get(b"content-length", b"0"))
    have = len(body)
    while have < length:
        have += len(_more(wire, until))
    return head.startswith(b"HTTP/1.1 2")


def _more(wire: socket.socket, until: float) -> bytes:
    wire.settimeout(max(0.001, until - time.monotonic()))
    piece = wire.recv(65_536)
    if not piece:
        raise ConnectionError("closed")
    return piece


if __name__ == "__main__":
    _main()
