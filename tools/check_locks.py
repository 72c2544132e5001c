"""Checks that the lock files install, and will go on doing so whatever is released later.

Each lock is installed into a new environment by the pip that this Python brings, while an index of this script's own
offers a release 9999 of every locked package. pip takes the newest release that a requirement allows, so a requirement
that the lock leaves open (an extra that was stripped, a dependency that was not pinned) meets that release and is
refused: the lock fails today instead of on the day of the next release. `pip check` then finds pins that contradict
each other.

    python3 tools/check_locks.py [--locks DIRECTORY] [NAME...]
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

LOCKS = Path(__file__).parents[1] / "requirements"
NEWER = "9999.0"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", re.MULTILINE)


def offer_newer_releases(lock: Path, folder: Path) -> int:
    """Write an empty wheel of release `NEWER` for every package that `lock` pins; returns how many there are."""
    names = {re.sub(r"[-_.]+", "_", name).lower() for name in PINNED.findall(lock.read_text())}
    for name in names:
        info = f"{name}-{NEWER}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{NEWER}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {NEWER}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return len(names)


def install(lock: Path, folder: Path) -> None:
    """Install `lock` into a new environment in `folder`. Raises `CalledProcessError` where that fails."""
    environment, newer = folder / "venv", folder / "newer"
    newer.mkdir()
    if not offer_newer_releases(lock, newer):
        raise SystemExit(f"{lock}: no package is pinned")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip: list[str | Path] = [environment / "bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--require-hashes", "--find-links", newer, "-r", lock], check=True)
    subprocess.run([*pip, "check"], check=True)


def main() -> int:
    """The command: 0 if every lock held, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--locks", type=Path, default=LOCKS, help="the folder of the lock files")
    parser.add_argument("names", nargs="*", metavar="NAME", help="runtime, dev, ...; all by default")
    arguments = parser.parse_args()
    locks = [arguments.locks / f"{name}.txt" for name in arguments.names] or sorted(arguments.locks.glob("*.txt"))
    failed = 0
    for lock in locks:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                install(lock, Path(folder))
            except subprocess.CalledProcessError:
                failed += 1
                print(f"{lock.name}: does not install once newer releases exist", flush=True)
            else:
                print(f"{lock.name}: installs ({time.monotonic() - started:.0f} s)", flush=True)
    return 1 if failed or not locks else 0


if __name__ == "__main__":
    sys.exit(main())
