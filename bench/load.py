"""The load generator wrk and its results."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench.processes import program

SCRIPT = Path(__file__).with_name("browser.lua")


class Load(NamedTuple):
    """One run: requests answered, errors of any kind (non-2xx included), percentiles in microseconds."""

    requests: int
    errors: int
    p50: int
    p99: int


def read(output: str) -> Load:
    """The result line of the script. Raises `ValueError` if there is none."""
    found = re.search(r"^result requests=(\d+) errors=(\d+) p50=(\d+) p99=(\d+)$", output, re.MULTILINE)
    if found is None:
        raise ValueError(f"wrk said:\n{output}")
    return Load(*map(int, found.groups()))


def wrk(port: int, *, connections: int, seconds: int, core: int | None = None) -> Load:
    """Send browser-like requests to a loopback port for some seconds, as fast as responses come."""
    command = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT),
               f"http://127.0.0.1:{port}/"]  # fmt: skip
    if core is not None:
        command = [program("taskset"), "-c", str(core), *command]
    return read(subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout)
