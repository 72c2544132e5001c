"""How long a worker keeps a CPU that others wait for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from canaryproxy import time_slice

ASK = """
import os
from canaryproxy.time_slice import shorten
os.nice(3)
print(shorten(), os.sched_getscheduler(0) == os.SCHED_OTHER, os.getpriority(os.PRIO_PROCESS, 0))
print(*(line.split(":")[1].strip() for line in open("/proc/self/sched") if line.startswith("se.slice")))
"""


def child(code: str) -> list[str]:
    """What another process says: a slice cannot be given back to the scheduler's own choice."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux")
def test_a_short_slice_changes_neither_policy_nor_priority() -> None:
    words = child(ASK)
    assert words[1:3] == ["True", "3"]
    if words[0] == "True" and words[3:]:  # the kernel shows it since 6.12
        assert words[3] == str(time_slice.SHORT)


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux")
def test_a_machine_whose_call_is_not_known_or_another_policy_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "unknown")
    assert not time_slice.shorten()
    monkeypatch.undo()
    monkeypatch.setattr("os.sched_getscheduler", lambda _: os.SCHED_BATCH)
    assert not time_slice.shorten()


def test_workers_alone_have_it() -> None:
    sources = Path(time_slice.__file__).parent
    using = [str(path.relative_to(sources)) for path in sources.rglob("*.py") if "shorten()" in path.read_text()]
    assert using == ["app/worker.py"]
