"""CPU per request and p99 beside nginx and HAProxy, in one run (`make bench`).

Every proxy has core 0 to itself in turn; the load and the two origins share core 1. Rounds interleave the
proxies in random order, so a machine whose speed drifts treats them alike. CPU comes from the kernel's
accounting of the proxy's processes. Read the ratios: absolute times mean little on a shared machine.
"""

import argparse
import contextlib
import json
import platform
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import canaryproxy
from bench import at_rest
from bench.load import wrk
from bench.peers import PEERS, Peer
from bench.processes import cpu_seconds, free_port, nginx_origin, running

HERE = Path(__file__).parent
PROXY_CORE, LOAD_CORE = 0, 1
BODY = "x" * 100


@dataclass(frozen=True)
class Run:
    """One proxy in one round: CPU microseconds a request; microseconds of latency with many and few connections."""

    peer: str
    round: int
    requests: int
    cpu: float
    p99: int
    p99_few: int


def measure(peer: Peer, number: int, port: int, pid: int, arguments: argparse.Namespace) -> Run:
    """Load a proxy that is running. Ends the whole run where a request failed."""
    before = cpu_seconds(pid)
    many = wrk(port, connections=arguments.connections, seconds=arguments.seconds, core=LOAD_CORE)
    cpu = (cpu_seconds(pid) - before) / many.requests * 1e6
    few = wrk(port, connections=arguments.few, seconds=max(arguments.seconds // 2, 1), core=LOAD_CORE)
    if many.errors or few.errors:
        sys.exit(f"{peer.name}: {many.errors + few.errors} requests failed; its figures would mean nothing")
    return Run(peer.name, number, many.requests, cpu, many.p99, few.p99)


def rounds(peers: Sequence[Peer], arguments: argparse.Namespace) -> list[Run]:
    """All proxies up at once, each loaded in turn, `rounds` times."""
    order = random.Random(arguments.seed)
    runs: list[Run] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        folder.chmod(0o755)
        stable, canary = free_port(), free_port()
        for port in (stable, canary):
            stack.enter_context(running(nginx_origin(folder, port, BODY), port=port, core=LOAD_CORE))
        started: list[tuple[Peer, int, int]] = []
        for peer in peers:
            own = folder / peer.name
            own.mkdir(mode=0o755)
            port = free_port()
            pid = stack.enter_context(running(peer.command(own, port, stable, canary), port=port, core=PROXY_CORE))
            wrk(port, connections=arguments.connections, seconds=1, core=LOAD_CORE)
            started.append((peer, port, pid))
        for number in range(1, arguments.rounds + 1):
            for peer, port, pid in order.sample(started, len(started)):
                run = measure(peer, number, port, pid, arguments)
                runs.append(run)
                print(f"round {number}  {run.peer:12} {run.cpu:6.1f} µs CPU/request   p99 {run.p99 / 1000:.2f} ms")
    return runs


def ratios(runs: Sequence[Run], of: str, to: str) -> list[float]:
    """The CPU ratio of two proxies round by round."""
    cpu = {(run.peer, run.round): run.cpu for run in runs}
    return [cpu[of, number] / cpu[to, number] for peer, number in sorted(cpu) if peer == of]


def spread(values: Sequence[float], digits: int = 1) -> str:
    """`median (min-max)`."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def table(runs: Sequence[Run], peers: Sequence[str]) -> str:
    """The result as a Markdown table."""
    lines = [
        "| proxy | CPU µs a request | x nginx | x HAProxy | requests/s | p99 ms, many connections | p99 ms, few |",
        "|---|---|---|---|---|---|---|",
    ]
    for peer in peers:
        mine = [run for run in runs if run.peer == peer]
        compared = [spread(ratios(runs, peer, other), 2) if other in peers else "-" for other in ("nginx", "HAProxy")]
        rate = statistics.median(run.requests for run in mine)
        lines.append(
            f"| {peer} | {spread([run.cpu for run in mine])} | {' | '.join(compared)} | {{rate:{rate}}} | "
            f"{spread([run.p99 / 1000 for run in mine], 2)} | {spread([run.p99_few / 1000 for run in mine], 2)} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """What this was measured on."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "unknown")
    cores = sum(line.startswith("processor") for line in info)
    return f"{model}, {cores} cores, Linux {platform.release()}, CPython {platform.python_version()} ({build()})"


def build() -> str:
    """Whose interpreter this is: distributions build theirs with profiles, which matters here."""
    return "the distribution's build" if sys.base_prefix == "/usr" else "not the distribution's build"


def page(runs: Sequence[Run], peers: Sequence[str], arguments: argparse.Namespace, command: str) -> str:
    """The text of RESULTS.md."""
    body = table(runs, peers)
    for peer in peers:
        rate = statistics.median(run.requests for run in runs if run.peer == peer)
        body = body.replace(f"{{rate:{rate}}}", f"{rate / arguments.seconds:,.0f}")
    return f"""# Beside nginx and HAProxy

`{command}` on {datetime.now(UTC).date()}, canaryproxy {canaryproxy.__version__}: {arguments.rounds} interleaved rounds
of {arguments.seconds} s a proxy, {arguments.connections} connections
(few: {arguments.few}), browser-like requests, 100-byte answers.
Median (minimum-maximum); the ratios are taken round by round.

{machine()}

{body}

Each proxy has one core, the load and both origins share the other. Equal work: keep-alive both ways, a 90/10
split, forwarded fields, a request id, Via, no access log, one worker. canaryproxy runs in plain Python with its
deltas recorded. How it is measured: [README](README.md).
"""


def main() -> None:
    """Parse the command line, measure, write RESULTS.md and results.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5, help="length of each measurement")
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--few", type=int, default=8, help="connections of the second latency figure")
    parser.add_argument("--seed", type=int, default=1, help="of the order in each round")
    parser.add_argument("--only", nargs="+", choices=[peer.name for peer in PEERS], default=[p.name for p in PEERS])
    parser.add_argument("--no-write", action="store_true", help="print only")
    arguments = parser.parse_args()
    peers = [peer for peer in PEERS if peer.name in arguments.only]
    runs = rounds(peers, arguments)
    command = " ".join(["make bench" if len(sys.argv) == 1 else "python -m bench.side_by_side", *sys.argv[1:]])
    text = page(runs, [peer.name for peer in peers], arguments, command)
    if not arguments.no_write:
        text += "\n" + at_rest.page(at_rest.measure())
    print(text)
    if not arguments.no_write:
        (HERE / "RESULTS.md").write_text(text)
        (HERE / "results.json").write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n")


if __name__ == "__main__":
    main()
