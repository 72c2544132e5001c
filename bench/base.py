"""The base of comparisons: commit 64e2905, built from git history into its own environment.

It is built once, compiled, with its own pinned packages, and kept in build/base/. It starts in an empty folder, so it
imports nothing of this checkout.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.processes import program

COMMIT = "64e2905"
ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "base"


def base() -> tuple[Path, Path]:
    """The interpreter and the checkout of the base, built if missing. Ends the run if that fails."""
    whole = FOLDER / COMMIT
    python = whole / "venv" / "bin" / "python"
    if not (whole / "made").exists():
        print(f"building {COMMIT} in {whole.relative_to(ROOT)}", flush=True)
        _build(whole, python)
    return python, whole / "source"


def _build(whole: Path, python: Path) -> None:
    if _git("cat-file", "-e", f"{COMMIT}^{{commit}}").returncode:
        sys.exit(f"{COMMIT} is not in this checkout's history: git fetch --unshallow")
    shutil.rmtree(whole, ignore_errors=True)
    source = whole / "source"
    source.mkdir(parents=True)
    archive = _git("archive", "--format=tar", COMMIT)
    archive.check_returncode()
    _run("tar", "-x", "-C", str(source), given=archive.stdout)
    _run(sys.executable, "-m", "venv", str(whole / "venv"))
    pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet")
    locks = (source / "requirements" / "runtime.txt", ROOT / "requirements" / "build.txt")
    for lock in locks:  # the base has no lock of its build tools: those of today
        _run(*pip, "install", "--no-deps", "--require-hashes", "-r", str(lock))
    wheels = whole / "wheels"
    _run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source), compiled=True)
    _run(*pip, "install", "--no-deps", *map(str, wheels.glob("canaryproxy-*.whl")))
    with tempfile.TemporaryDirectory() as empty:
        said = subprocess.run(
            [python, "-P", "-m", "canaryproxy", "--version"], cwd=empty, capture_output=True, text=True, check=True
        ).stdout
    if "(compiled" not in said:
        sys.exit(f"{COMMIT} was not compiled: it says {said.strip()}; gcc and python3-dev are needed")
    (whole / "made").touch()


def _git(*words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([program("git"), "-C", str(ROOT), *words], capture_output=True, check=False)


def _run(*words: str, given: bytes | None = None, compiled: bool = False) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if compiled:
        environment["CANARYPROXY_PLAIN"] = "0"
    with contextlib.suppress(subprocess.CalledProcessError):
        subprocess.run(words, input=given, check=True, env=environment)
        return
    sys.exit(f"{' '.join(words)} failed; {COMMIT} cannot be built")


if __name__ == "__main__":
    print(base()[0])
