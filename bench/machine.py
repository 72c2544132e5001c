"""The machine of a measurement."""

import platform
import sys
from pathlib import Path


def machine() -> str:
    """Processor, cores, kernel and interpreter."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "unknown")
    cores = sum(line.startswith("processor") for line in info)
    return f"{model}, {cores} cores, Linux {platform.release()}, CPython {platform.python_version()} ({build()})"


def build() -> str:
    """The build of the interpreter: those of distributions are optimised with profiles, which changes results."""
    return "the distribution's build" if sys.base_prefix == "/usr" else "not the distribution's build"
