"""The real process where standard input, output or error is closed at its start, as some supervisors leave them, or
where the log is not read.
"""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.e2e.test_process import PATIENCE, ask, origins, processes_below, until, written

__all__ = ["origins"]


def answers(port: int) -> bool:
    try:
        return ask(port) != ""
    except OSError:
        return False


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)], ids=["output", "error", "all"])
def test_no_log_is_written_into_what_would_take_the_place_of_a_closed_descriptor(
    closed: tuple[int, ...], origins: dict[str, int], tmp_path: Path
) -> None:
    """A socket, or the memory that workers share, would have its number otherwise."""
    port = free_port()
    config = tmp_path / "config.yaml"
    text = written(origins, port, 50).replace("server: {", "server: {workers: 2, access_log: {path: '-'}, ")
    config.write_text(text)
    command = f"exec '{sys.executable}' -m canaryproxy run '{config}' " + " ".join(f"{number}>&-" for number in closed)
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until(lambda: answers(port))
        assert {ask(port) for _ in range(40)} == {"stable", "canary"}
        for pid in (process.pid, *processes_below(process.pid)):
            held = {number: str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in closed}
            assert held == dict.fromkeys(closed, "/dev/null")
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_log_that_is_not_read_keeps_no_one_from_aborting(origins: dict[str, int], tmp_path: Path) -> None:
    """Neither workers nor the control plane wait for its reader."""
    port, admin = free_port(), free_port()
    config = tmp_path / "config.yaml"
    config.write_text(written(origins, port, 100).replace("127.0.0.1:0", f"127.0.0.1:{admin}"))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x")
    os.set_blocking(writing, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "canaryproxy", "run", str(config)], stdout=subprocess.DEVNULL, stderr=writing
    )
    os.close(writing)
    try:
        until(lambda: answers(port))
        assert ask(port) == "canary"
        url = f"http://127.0.0.1:{admin}/api/v1/routes/default/rollout/abort"
        for _ in range(3):
            asked = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"}, method="POST")
            with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                assert json.load(answer)["phase"] == "rolled_back"
        until(lambda: ask(port) == "stable")
    finally:
        process.terminate()
        code = process.wait(PATIENCE)
        os.close(reading)
    assert code == 0
