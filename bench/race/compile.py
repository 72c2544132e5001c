"""Programs in C, compiled where they are needed: again when their text has changed."""

import hashlib
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from bench.processes import program

SOURCES = Path(__file__).with_name("c")
FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror")
LIBRARIES = {"load": ("-lssl", "-lcrypto", "-lm")}


@cache
def compiled(name: str, sources: Path = SOURCES) -> Path:
    """The program `name` of a folder. Raises `CalledProcessError` where the compiler refuses."""
    text = b"".join(path.read_bytes() for path in sorted(sources.iterdir()))
    folder = Path(tempfile.gettempdir()) / f"canaryproxy-race-{hashlib.sha256(text).hexdigest()[:16]}"
    folder.mkdir(mode=0o755, exist_ok=True)
    path = folder / name
    if not path.exists():
        made = folder / f"{name}.made"
        source = sources / f"{name}.c"
        subprocess.run([program("gcc"), *FLAGS, "-o", made, source, *LIBRARIES.get(name, ())], check=True)
        made.rename(path)
    return path
