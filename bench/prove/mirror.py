"""Whatever ails the target of a mirror, the main traffic does not notice.

One proxy for each state of the target, and two without a mirror, all on one core; every round loads each of them in
turn, in random order, at about half of what it could do. The two without a mirror show how much the figures differ by
themselves (A/A).
"""

import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.load import Load, read
from bench.ports import free_port
from bench.processes import canaryproxy, family, nginx_origin, program, rss_bytes, running
from bench.prove import DisprovedError
from bench.prove.site import metrics_of

ROUNDS = 11
SECONDS = 3
CONNECTIONS = 32
PACE = 8
"""Milliseconds a connection waits between two requests, on average: some 4,000 requests/s in all."""

MOST = 1.0
"""Milliseconds that p99 may rise."""

GROWTH = 32 * 2**20
STATES = ("off", "off again", "hang", "late=2", "dead", "rate=400")
NAMES = {"hang": "hanging", "late=2": "2 s slow", "dead": "dead", "rate=400": "at a tenth of the traffic"}


class Side:
    """One proxy and what it was asked. `admin` is the port of its API."""

    def __init__(self, port: int, admin: int, pid: int) -> None:
        self.port = port
        self.admin = admin
        self.pid = pid
        self.before = self.memory()
        self.requests = 0
        self.p99: list[float] = []

    def memory(self) -> int:
        """Resident bytes of its processes."""
        return sum(map(rss_bytes, family(self.pid)))

    def load(self, seconds: int) -> Load:
        """Some seconds of steady load."""
        command = [
            program("taskset"),
            "-c",
            "1",
            program("wrk"),
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "--latency",
        ]
        command += ["-s", str(Path(__file__).with_name("paced.lua")), f"http://127.0.0.1:{self.port}/"]
        environ = {**os.environ, "PACE": str(PACE)}
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30, env=environ)
        return read(done.stdout)


def unharmed() -> str:
    """The claim."""
    rng = random.Random(4)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mirror-")))
        folder.chmod(0o755)
        stable = free_port()
        stack.enter_context(running(nginx_origin(folder, stable, "x" * 100), port=stable, core=1))
        sides = {state: _side(stack, folder, stable, state) for state in STATES}
        for number in range(-1, ROUNDS):
            for state in rng.sample(STATES, len(STATES)):
                done = sides[state].load(SECONDS)
                if done.errors:
                    raise DisprovedError(f"{done.errors} requests failed with the mirror {state}")
                sides[state].requests += done.requests
                if number >= 0:
                    sides[state].p99.append(done.p99 / 1000)
        return _verdict(sides)


def _side(stack: contextlib.ExitStack, folder: Path, stable: int, state: str) -> Side:
    port, admin, canary = free_port(), free_port(), free_port()
    if not state.startswith("off") and state != "dead":
        command = [sys.executable, "-m", "bench.prove.unhealthy", str(canary), state]
        stack.enter_context(running(command, port=canary, core=1))
    mirror = "" if state.startswith("off") else "mirror: {percent: 100}\n"
    config = folder / f"{state.replace(' ', '-')}.yaml"
    config.write_text(
        f"server: {{listen: '127.0.0.1:{port}', admin: {{listen: '127.0.0.1:{admin}'}}, state: memory, workers: 1}}\n"
        f"stable: http://127.0.0.1:{stable}\ncanary: http://127.0.0.1:{canary}\n{mirror}"
    )
    pid = stack.enter_context(running(canaryproxy(str(config)), port=port, core=0))
    time.sleep(1)
    return Side(port, admin, pid)


def _verdict(sides: dict[str, Side]) -> str:
    off = sides["off"].p99
    usual = statistics.median(one - other for one, other in zip(sides["off again"].p99, off, strict=True))
    apart = statistics.median(abs(one - other) for one, other in zip(sides["off again"].p99, off, strict=True))
    rises = {
        NAMES[state]: statistics.median(one - other for one, other in zip(side.p99, off, strict=True))
        for state, side in sides.items()
        if state in NAMES
    }
    grown = {NAMES[state]: side.memory() - side.before for state, side in sides.items() if state in NAMES}
    rate = sides["off"].requests / ((ROUNDS + 1) * SECONDS)
    data = ", ".join(f"{name} {1000 * rise:+.0f} µs" for name, rise in rises.items())
    said = (
        f"at {rate:,.0f} requests/s all of which are copied, p99 without a mirror {statistics.median(off):.2f} ms (A/A "
        f"{1000 * usual:+.0f} µs, {1000 * apart:.0f} µs apart); with a target that is {data}; memory grew "
        f"{max(grown.values()) / 2**20:.1f} MiB at most; {_sums(sides)}"
    )
    if max(rises.values()) >= MOST or max(grown.values()) > GROWTH:
        raise DisprovedError(said)
    return said


def _sums(sides: dict[str, Side]) -> str:
    """Every request was copied or dropped, once, and every copy came to an end or is under way."""
    dropped = 0.0
    for state, side in sides.items():
        if state not in NAMES:
            continue
        deadline = time.monotonic() + 5
        while True:
            found = {
                name: value for name, value in metrics_of(side.admin).items() if name.startswith("canaryproxy_mirror")
            }
            sent = found['canaryproxy_mirror_requests_total{route="default",version="canary"}']
            gone = found['canaryproxy_mirror_dropped_total{route="default",version="canary"}']
            ended = sum(value for name, value in found.items() if "outcomes" in name)
            if sent + gone >= side.requests or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        under_way = sent + gone - ended
        waiting = 256 if state in ("hang", "late=2", "rate=400") else 0
        if (
            not side.requests - waiting <= sent + gone <= side.requests + CONNECTIONS * (ROUNDS + 2)
            or not 0 <= under_way <= 64
        ):
            raise DisprovedError(
                f"{NAMES[state]}: {side.requests} requests, {sent:g} sent, {gone:g} dropped, {ended:g} ended"
            )
        dropped += gone
    return f"every copy counted once ({dropped:,.0f} dropped)"
