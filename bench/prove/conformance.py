"""The conformance bench (a folder with harness.py and peers.py): whole, in fragments of seven bytes, and three times
over; before a single route, and before two routes with rules.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.prove import DisprovedError

ONE_ROUTE = (
    f"proxy={sys.executable} -m canaryproxy run --admin-listen off --state memory --listen 127.0.0.1:{{listen}} "
    "--stable http://127.0.0.1:{backend} --canary http://127.0.0.1:{backend} --weight 50"
)
TWO_ROUTES = (
    f"proxy=env LISTEN={{listen}} BACKEND={{backend}} {sys.executable} -m canaryproxy run "
    f"{Path(__file__).with_name('two-routes.yaml')}"
)
ROUTES = {"one": ONE_ROUTE, "two": TWO_ROUTES}
ROUNDS = {"plain": (), "fragments": ("--fragment", "7"), "repeated": ("--repeat", "3")}


def conformance(bench: Path, routes: str, options: tuple[str, ...]) -> str:
    """Run all cases with harness `options`; none may fail."""
    with tempfile.TemporaryDirectory(prefix="prove-") as out:
        subprocess.run(command(bench, routes, options, out), check=False, capture_output=True, timeout=900)
        return verdict(Path(out))


def command(bench: Path, routes: str, options: tuple[str, ...], out: str) -> list[str]:
    """What runs all cases and leaves the results in the folder `out`."""
    return [sys.executable, str(bench / "peers.py"), "--out", out, "--exec", ROUTES[routes], "--", *options]


def verdict(out: Path) -> str:
    """What the results in a folder say. Raises `DisprovedError` where a case failed."""
    cases = json.loads((out / "proxy.json").read_text())["cases"]
    failed = [case["id"] for case in cases if case["verdict"] == "FAIL"]
    warned = [case["id"] for case in cases if case["verdict"] == "WARN"]
    said = f"{len(cases)} cases: {len(cases) - len(failed)} passed, {len(failed)} failed, {len(warned)} warnings"
    if failed:
        raise DisprovedError(f"{said}: {', '.join(failed)}")
    return said
