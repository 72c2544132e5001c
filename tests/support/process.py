"""The real process, as a user starts it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.ports import free_port

ROOT = Path(__file__).parents[2]


QUIET = ("--admin-listen", "127.0.0.1:0", "--state", "memory")
"""What a test that is not about it says of the control plane; in a config, `ASIDE` says it."""

ASIDE = "admin: {listen: '127.0.0.1:0'}, state: memory"


class Proxy(NamedTuple):
    """A running `canaryproxy`. `banner` is the line it printed when it was ready."""

    process: "subprocess.Popen[str]"
    port: int
    banner: str
    log: Path


@contextlib.contextmanager
def canaryproxy(folder: Path, *arguments: str, port: int | None = None) -> Iterator[Proxy]:
    """Start `canaryproxy run` with arguments that may contain `{listen}`; ends it by its process id."""
    port = port or free_port()
    log = folder / "proxy.log"
    command = [sys.executable, "-m", "canaryproxy", "run"]
    if "--stable" in arguments:
        arguments = (*QUIET, *arguments)
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, *(argument.replace("{listen}", f"127.0.0.1:{port}") for argument in arguments)],
            stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        yield Proxy(process, port, process.stdout.readline(), log)
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait(10)
