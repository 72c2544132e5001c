"""The compiled modules under AddressSanitizer and UndefinedBehaviorSanitizer: the tests of HTTP and of the data plane,
and all conformance cases, whole and in fragments.
"""

import re
import sys
import tempfile
from pathlib import Path

from bench import sanitized
from bench.prove import DisprovedError
from bench.prove.conformance import ROUNDS, command, verdict

PARTS = (
    "tests/http1",
    "tests/integration",
    "tests/link",
    "tests/model",
    "tests/proxy",
    "tests/routing",
    "tests/telemetry",
    "tests/twins",
    "tests/app/test_forkserver.py",
    "tests/app/test_worker.py",
    "tests/processes/test_workers.py",
)
"""What runs compiled code: HTTP, the data plane, and workers as processes."""

OTHERS = "tests/integration/test_others.py"
"""Not run: curl and nginx would be watched too, and hang."""

TIMED = "tests/proxy/test_direct.py::test_thousands_of_small_pieces_that_wait_do_not_take_a_system_call_each"
"""Not run: it compares CPU times, which the instrumentation changes."""

PATIENCE = 1800.0


def tests() -> str:
    """Run the tests of HTTP and of the data plane in the sanitized build."""
    build = prepared()
    pytest = ["-m", "pytest", "-q", "--numprocesses", "2", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    said = sanitized.run([sys.executable, *pytest, "--ignore", OTHERS, "--deselect", TIMED, *PARTS], PATIENCE)
    passed = re.search(r"(\d+) passed", said)
    if passed is None:
        raise DisprovedError(f"no test ran: {said[-500:]}")
    return f"{passed[1]} tests passed, no report; {build}"


def cases(bench: Path, name: str) -> str:
    """Run all conformance cases in a round of this name against the sanitized build."""
    build = prepared()
    with tempfile.TemporaryDirectory(prefix="prove-") as out:
        sanitized.run(command(bench.resolve(), "one", ROUNDS[name], out), PATIENCE)
        return f"{verdict(Path(out))}, no report; {build}"


def prepared() -> str:
    """Build, and make sure that faults are reported; returns what was built."""
    sanitized.build()
    return sanitized.watched()
