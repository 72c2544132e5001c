"""Ten thousand exact rules cost no more than ten."""

import contextlib
import random
import statistics
import subprocess
import tempfile
from pathlib import Path

from bench.load import read
from bench.ports import free_port
from bench.processes import canaryproxy, cpu_seconds, nginx_origin, program, running
from bench.prove import DisprovedError

COUNTS = (10, 10_000)
ROUNDS = 17
SECONDS = 2
MOST = 1.05
SCRIPT = Path(__file__).with_name("rules.lua")


def config(folder: Path, count: int, listen: int, origin: int) -> Path:
    """A config with so many rules on a header, each for a user of its own."""
    path = folder / f"rules-{count}.yaml"
    rules = "\n".join(f"  - {{name: r{one}, headers: {{x-user: user-{one}}}, to: canary}}" for one in range(count))
    path.write_text(
        f"server: {{listen: '127.0.0.1:{listen}', admin: {{listen: '127.0.0.1:0'}}, state: memory, workers: 1}}\n"
        f"stable: http://127.0.0.1:{origin}\ncanary: http://127.0.0.1:{origin}\nweight: 10\nrules:\n{rules}\n"
    )
    return path


def many_rules() -> str:
    """CPU per request with 10,000 rules to that with 10, interleaved."""
    rng, costs = random.Random(1), {count: [0.0] * ROUNDS for count in COUNTS}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prove-")))
        folder.chmod(0o755)
        origin = free_port()
        stack.enter_context(running(nginx_origin(folder, origin, "x" * 100), port=origin, core=1))
        proxies = {}
        for count in COUNTS:
            port = free_port()
            command = canaryproxy(str(config(folder, count, port, origin)))
            proxies[count] = (port, stack.enter_context(running(command, port=port, core=0)))
        for number in range(-1, ROUNDS):
            for count in rng.sample(COUNTS, len(COUNTS)):
                cost = measure(*proxies[count])
                if number >= 0:
                    costs[count][number] = cost
    ratios = [many / few for few, many in zip(*(costs[count] for count in COUNTS), strict=True)]
    ratio = statistics.median(ratios)
    said = (
        f"{ratio:.3f} times the CPU per request (rounds {min(ratios):.3f} to {max(ratios):.3f}; "
        f"medians {statistics.median(costs[10]):.1f} and {statistics.median(costs[10_000]):.1f} µs)"
    )
    if ratio > MOST:
        raise DisprovedError(said)
    return said


def measure(port: int, pid: int) -> float:
    """CPU microseconds a request, a third of which meet a rule."""
    before = cpu_seconds(pid)
    command = [program("taskset"), "-c", "1", program("wrk"), "-t1", "-c32", f"-d{SECONDS}s", "--latency"]
    command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}/"]
    done = read(subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS + 30).stdout)
    if done.errors:
        raise DisprovedError(f"{done.errors} requests failed")
    return (cpu_seconds(pid) - before) / done.requests * 1e6
