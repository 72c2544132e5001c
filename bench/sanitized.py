"""A build of the hot modules with AddressSanitizer (accesses outside an object, use after free) and
UndefinedBehaviorSanitizer (such as overflows of signed numbers).

The build is in a copy of the tree, so the one in place does not change. Its processes do not use Python's allocator,
which hands out parts of large blocks whose borders AddressSanitizer does not know.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.prove import DisprovedError

ROOT = Path(__file__).parents[1]
TREE = ROOT / "build" / "sanitized"
REPORTS = ROOT / "build" / "sanitized-reports"
COPIED = (
    "canaryproxy",
    "tests",
    "bench",
    "tools",
    "config",
    "docs",
    "k8s",
    "monitoring",
    "requirements",
    "*.*",
    "Dockerfile",
    "Makefile",
    "LICENSE",
    ".ci",
)
LIBRARIES = ("libasan.so", "libubsan.so", "libstdc++.so")
"""Preloaded, since AddressSanitizer replaces malloc and the exceptions of C++ (google-re2) from the start."""

FLAGS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined"
OVERRUN = """\
import ctypes
libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p
ctypes.memset(libc.strdup(b"1234"), 0, 64)
"""
"""A fault that AddressSanitizer must report, to prove that it is active: 64 bytes written to 5."""


def build() -> None:
    """Copy the tree and compile it. Raises `CalledProcessError` on failure."""
    TREE.mkdir(parents=True, exist_ok=True)
    for pattern in COPIED:
        for path in ROOT.glob(pattern):
            copy(path, TREE / path.name)
    environment = {**os.environ, "CANARYPROXY_PLAIN": "0", "CFLAGS": FLAGS, "LDFLAGS": "-fsanitize=address,undefined"}
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"], cwd=TREE, env=environment, check=True
    )


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder without compiled files; the build folder of the copy stays."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.digest"))
    else:
        shutil.copy2(source, target)


def environment() -> dict[str, str]:
    """The environment of sanitized processes. Each report becomes a file in `REPORTS`."""
    options = f"log_path={REPORTS}/report:halt_on_error=1:print_stacktrace=1"
    found = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in LIBRARIES
    ]
    return {
        **os.environ,
        "CANARYPROXY_PLAIN": "0",
        "LD_PRELOAD": ":".join(found),
        # Python frees little of what it holds at its end, so leaks are not looked for.
        "ASAN_OPTIONS": f"{options}:detect_leaks=0:abort_on_error=0:exitcode=99:allocator_may_return_null=1",
        "UBSAN_OPTIONS": options,
        "PYTHONMALLOC": "malloc",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run(command: list[str], patience: float) -> str:
    """The output of `command`, run in the sanitized tree for at most `patience` seconds. Raises `DisprovedError` if one
    of its processes writes a report.
    """
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    done = subprocess.run(
        command, cwd=TREE, env=environment(), capture_output=True, text=True, timeout=patience, check=False
    )
    reports = sorted(REPORTS.iterdir())
    if reports:
        raise DisprovedError(f"{len(reports)} reports in {REPORTS}; the first: {reports[0].read_text()[:2000]}")
    if done.returncode:
        raise DisprovedError(f"{' '.join(command)} ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def watched() -> str:
    """Check that the build is sanitized, that processes run it, and that a fault is reported.

    Raises `DisprovedError`.
    """
    where = run([sys.executable, "-c", "import canaryproxy as c; print(c.__file__, c.MODE)"], 60.0).strip()
    if not where.startswith(f"{TREE}/canaryproxy/") or " compiled" not in where:
        raise DisprovedError(f"not the sanitized build: {where}")
    modules = sorted((TREE / "canaryproxy").rglob("*.so"))
    missing = [path.name for path in modules if b"__asan_init" not in path.read_bytes()]
    if missing or not modules:
        raise DisprovedError(f"not sanitized: {missing or 'no extension at all'}")
    try:
        run([sys.executable, "-c", OVERRUN], 60.0)
    except DisprovedError:
        return f"{len(modules)} modules"
    raise DisprovedError("64 bytes written to 5 were not reported")
