"""What the race needs of Debian, installed where it is missing."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.processes import SEARCH_PATH

PACKAGES = {"nginx": "nginx", "haproxy": "haproxy", "gcc": "gcc", "taskset": "util-linux"}
"""Program to the package that brings it."""

HEADERS = {"openssl/ssl.h": "libssl-dev", "stdio.h": "libc6-dev"}
INCLUDED_FROM = (Path("/usr/include"), Path("/usr/include/x86_64-linux-gnu"), Path("/usr/include/aarch64-linux-gnu"))
POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """Packages whose programs or headers are not here."""
    programs = [package for name, package in PACKAGES.items() if not shutil.which(name, path=SEARCH_PATH)]
    headers = [
        package for name, package in HEADERS.items() if not any((folder / name).exists() for folder in INCLUDED_FROM)
    ]
    return programs + headers


def install() -> None:
    """Install what is missing, as root; otherwise end with the line that does."""
    wanted = missing()
    if not wanted:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        sys.exit(f"missing; on Debian and Ubuntu: apt-get install --no-install-recommends {' '.join(wanted)}")
    print(f"installing: {' '.join(wanted)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with nothing_started():
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def nothing_started() -> Iterator[None]:
    """A policy that starts no service: we start our own, on loopback."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
