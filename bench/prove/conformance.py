"""The conformance bench (a folder with harness.py and peers.py), whole and in fragments of seven bytes."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.prove import Disproved

LATER = "ws-"
"""Cases that need a WebSocket tunnel, which is not built yet, begin with this."""


def conformance(bench: Path, *options: str) -> str:
    """Run all cases with harness `options`; none may fail but those that need a tunnel."""
    command = (
        f"proxy={sys.executable} -m canaryproxy run --listen 127.0.0.1:{{listen}} "
        "--stable http://127.0.0.1:{backend} --canary http://127.0.0.1:{backend} --weight 50"
    )
    with tempfile.TemporaryDirectory(prefix="prove-") as out:
        subprocess.run(
            [sys.executable, str(bench / "peers.py"), "--out", out, "--exec", command, "--", *options],
            check=False, capture_output=True, timeout=900,
        )  # fmt: skip
        cases = json.loads((Path(out) / "proxy.json").read_text())["cases"]
    failed = [case["id"] for case in cases if case["verdict"] == "FAIL"]
    warned = [case["id"] for case in cases if case["verdict"] == "WARN"]
    tunnels = [case for case in failed if case.startswith(LATER)]
    others = [case for case in failed if not case.startswith(LATER)]
    said = (
        f"{len(cases)} cases {' '.join(options) or 'whole'}: {len(cases) - len(failed)} passed, {len(others)} failed"
        f"{f', {len(tunnels)} wait for tunnels' if tunnels else ''}, {len(warned)} warnings"
    )
    if others:
        raise Disproved(f"{said}: {', '.join(others)}")
    return said
