"""Which code runs at the two ends of a link, and whether it is the same. Pure.

Workers run what the supervisor runs, or the start line, `--version` and the metrics would not be true of them. They
differ where the installation was replaced while the instance runs and the fork server had to be started again.
"""

import platform

from canaryproxy import MODE, __version__
from canaryproxy.ipc.messages import Introduction
from canaryproxy.isolated import PACKAGE


def own_build() -> Introduction:
    """Of this process."""
    return Introduction(__version__, MODE.compiled, MODE.why, PACKAGE, platform.python_version())


def describe(code: Introduction) -> str:
    """In words, as in the start line."""
    how = "compiled" if code.compiled else "plain Python"
    why = f": {code.why}" if code.why and not code.compiled else ""
    version, python, place = (value or "(unknown)" for value in (code.version, code.python, code.package))
    return f"canaryproxy {version} ({how}{why}, Python {python}) in {place}"


def difference(theirs: Introduction, own: Introduction) -> str:
    """A sentence that says in what the two differ; empty where they are the same."""

    def what(code: Introduction) -> tuple[str, bool, str, str]:
        return code.version, code.compiled, code.package, code.python

    if what(theirs) == what(own):
        return ""
    return f"the worker runs {describe(theirs)}, and the supervisor {describe(own)}"
