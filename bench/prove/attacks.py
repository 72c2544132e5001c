"""The floods of bench/attacks as one claim: they are run by their own command, which writes ATTACKS.md."""

import subprocess
import sys

from bench.processes import found
from bench.prove import DisprovedError

LONGEST = 3600.0


def every() -> str:
    """All of them, half an hour."""
    return _run()


def small() -> str:
    """2,000 silent connections on the probes port, with bounds that a busy machine keeps."""
    if found("gcc") is None:
        return "not run: the flood is a C program, and there is no gcc"
    return _run("--small")


def _run(*options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench.attacks", *options], capture_output=True, text=True, timeout=LONGEST, check=False
    )
    lines = done.stdout.splitlines()
    last = lines[-1] if lines else done.stderr.strip().rpartition("\n")[2]
    if done.returncode:
        failed = [line for line in lines if line.startswith("FAILS")]
        raise DisprovedError("; ".join([last, *failed]))
    return last
