"""CPU per request of this checkout beside the base (64e2905), in pairs: `make bench-base`.

Both run at the same time on core 0 with one worker each, and are loaded in turn, in a random order, so that a drift of
the machine's speed affects both. CPU is that of the worker, from its process clock. Configurations: `two` is the
minimal one of two lines; `all` has affinity, shield, rules, goals and a rollout under way.
"""

import argparse
import contextlib
import http.client
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base import COMMIT, base
from bench.load import wrk
from bench.ports import free_port
from bench.processes import family, nginx_origin, process_seconds, program, running

PROXY_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 16
PATIENCE = 100
CONFIGS = ("two", "all")

ALL = """routes:
  shop:
    stable: {stable}
    canary: {canary}
    affinity: cookie
    shield: true
    rules:
      - {{name: testers, headers: {{x-tester: "1"}}, to: canary}}
      - {{name: beta, cookies: {{beta: "1"}}, percent: 50, to: canary}}
    goals: [{{name: add, method: POST, path: /cart, status: 2xx}}, {{name: revenue, header: x-order-value}}]
    rollout: {{steps: [20, 50, 100], every: 1h}}
"""
TWO = "stable: {stable}\ncanary: {canary}\nweight: 20\n"


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean ratio of the pairs, and its 95 % interval."""

    mean: float
    low: float
    high: float


def spread(ratios: Sequence[float]) -> Spread:
    """Of at least two ratios."""
    mean = statistics.mean(ratios)
    half = student(len(ratios) - 1) * statistics.stdev(ratios) / math.sqrt(len(ratios))
    return Spread(mean, mean - half, mean + half)


def student(freedom: int) -> float:
    """The two-sided 95 % quantile of Student's t with about 1 % error, by the Cornish-Fisher expansion."""
    z = 1.959964
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


@contextlib.contextmanager
def proxy(python: Path, config: str, folder: Path, origins: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """A running instance: its port and its worker. It starts in an empty folder, so it imports nothing from here."""
    folder.mkdir()
    listen, admin = free_port(), free_port()
    stable, canary = (f"http://127.0.0.1:{port}" for port in origins)
    text = (TWO if config == "two" else ALL).format(stable=stable, canary=canary)
    server = f"{{listen: '127.0.0.1:{listen}', workers: 1, state: memory, admin: {{listen: '127.0.0.1:{admin}'}}}}"
    path = folder / "canaryproxy.yaml"
    path.write_text(f"server: {server}\n{text}")
    words = [program("env"), "-C", str(folder), str(python), "-P", "-m", "canaryproxy", "run", str(path)]
    with running(words, port=listen, core=PROXY_CORE, log=folder / "log") as pid:
        only = worker(pid)
        if config == "all":
            _start(admin)
        yield listen, only


def worker(pid: int) -> int:
    """The worker of an instance. Ends the run if there is none, or if it runs plain code."""
    for _ in range(PATIENCE):
        for member in family(pid):
            if Path(f"/proc/{member}/cmdline").read_bytes().startswith(b"canaryproxy: worker"):
                maps = Path(f"/proc/{member}/maps").read_text().splitlines()
                if any("/canaryproxy/" in line and line.endswith(".so") for line in maps):
                    return member
                sys.exit("the worker does not run compiled code: make compile")
        time.sleep(0.1)
    sys.exit("no worker")


def _start(admin: int) -> None:
    """Start the rollout."""
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/api/v1/routes/shop/rollout/start", b"{}", {"Content-Type": "application/json"})
        if connection.getresponse().status != http.HTTPStatus.OK:
            sys.exit("the rollout does not start")


def cost(port: int, pid: int, seconds: int) -> float:
    """Microseconds of the worker's CPU per request."""
    before = process_seconds(pid)
    answers = wrk(port, connections=CONNECTIONS, seconds=seconds, core=LOAD_CORE)
    if answers.errors:
        sys.exit(f"{answers.errors} requests failed")
    return (process_seconds(pid) - before) / answers.requests * 1e6


def compare(old: Path, new: Path, config: str, *, pairs: int, seconds: int) -> None:
    """Print the ratio of one configuration."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="against-")))
        folder.chmod(0o755)
        origins = free_port(), free_port()
        for port in origins:
            stack.enter_context(running(nginx_origin(folder, port, "0123456789"), port=port, core=LOAD_CORE))
        those = {
            name: stack.enter_context(proxy(python, config, folder / name, origins))
            for name, python in (("old", old), ("new", new))
        }
        for one in those.values():
            cost(*one, seconds)
        found = []
        for _ in range(pairs):
            used = {name: cost(*those[name], seconds) for name in random.sample(sorted(those), 2)}
            found.append((used["old"], used["new"]))
    ratio = spread([second / first for first, second in found])
    before, after = (statistics.median(one[side] for one in found) for side in (0, 1))
    print(
        f"{config}: {COMMIT} {before:.1f} µs, this {after:.1f} µs of CPU per request; ratio {ratio.mean:.3f} "
        f"(95 % interval {ratio.low:.3f} to {ratio.high:.3f}, {pairs} pairs)",
        flush=True,
    )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m bench.against", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", nargs="+", choices=CONFIGS, default=CONFIGS)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=2, help="of each load")
    parser.add_argument("--old", type=Path, metavar="PYTHON", help="another interpreter instead of the base's")
    parser.add_argument("--new", type=Path, metavar="PYTHON", default=Path(sys.executable))
    arguments = parser.parse_args()
    old = arguments.old or base()[0]
    for config in arguments.config:
        compare(old, arguments.new, config, pairs=max(2, arguments.pairs), seconds=arguments.seconds)


if __name__ == "__main__":
    main()
