"""Compares the code that runs at the two ends of an IPC channel. Pure.

Workers must run the supervisor's code, or the start line, `--version` and the metrics would be wrong for them. The two
differ if the installation was replaced while the instance ran and the fork server had to be restarted.
"""

import platform
from dataclasses import replace

from canaryproxy import MODE, __version__
from canaryproxy.ipc.messages import Introduction
from canaryproxy.isolated import PACKAGE


def own_build() -> Introduction:
    """The build of this process."""
    return Introduction(__version__, MODE.compiled, MODE.why, PACKAGE, platform.python_version())


def describe(code: Introduction) -> str:
    """A build in words, as in the start line."""
    how = "compiled" if code.compiled else "plain Python"
    why = f": {code.why}" if code.why and not code.compiled else ""
    version, python, place = (value or "(unknown)" for value in (code.version, code.python, code.package))
    return f"canaryproxy {version} ({how}{why}, Python {python}) in {place}"


def difference(theirs: Introduction, own: Introduction) -> str:
    """A sentence about the difference between two builds; empty if they are equal."""
    if replace(theirs, why="") == replace(own, why=""):
        return ""
    return f"the worker runs {describe(theirs)}, and the supervisor {describe(own)}"
