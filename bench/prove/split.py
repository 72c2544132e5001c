"""The share is what was asked: requests by wrk, counted by the origins' own access logs."""

import contextlib
import tempfile
from pathlib import Path

from bench.load import wrk
from bench.ports import free_port
from bench.processes import canaryproxy, nginx_origin, running
from bench.prove import DisprovedError


def split(weight: str, tolerance: float, enough: int = 100_000) -> str:
    """Run until `enough` requests were answered at `weight` percent; the canary's share must be within
    `tolerance` points and no request may fail.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prove-")))
        folder.chmod(0o755)
        logs = {version: folder / f"{version}.log" for version in ("stable", "canary")}
        ports = {version: free_port() for version in logs}
        for version, port in ports.items():
            stack.enter_context(running(nginx_origin(folder, port, version, log=logs[version]), port=port))
        listen = free_port()
        command = canaryproxy(
            "--stable", f"http://127.0.0.1:{ports['stable']}", "--canary", f"http://127.0.0.1:{ports['canary']}",
            "--weight", weight, "--listen", f"127.0.0.1:{listen}",
        )  # fmt: skip
        stack.enter_context(running(command, port=listen))
        answered = errors = 0
        while answered < enough:
            load = wrk(listen, connections=50, seconds=4)
            answered += load.requests
            errors += load.errors
        counts = {version: log.read_bytes().count(b"\n") for version, log in logs.items()}
    total = sum(counts.values())
    share = 100 * counts["canary"] / total
    said = f"{answered:,} requests, {errors} errors, canary {counts['canary']:,} of {total:,} = {share:.4f} %"
    if errors or abs(share - float(weight)) > tolerance:
        raise DisprovedError(said)
    return said
