"""What other processes get to see of the supervisor, which knows every token. Workers see least, since strangers talk
to them: they inherit the variables that they need and no other one, and cannot look into its memory.
"""

import contextlib
import ctypes
from collections.abc import Mapping

from canaryproxy.log import FORMAT
from canaryproxy.mode import SWITCH

KEPT = frozenset(
    (
        FORMAT,
        SWITCH,
        "LANG",
        "LANGUAGE",
        "TZ",
        "TZDIR",
        "PATH",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "GLIBC_TUNABLES",
        "ASAN_OPTIONS",
        "LSAN_OPTIONS",
        "UBSAN_OPTIONS",
    )
)
"""Level and format of the log, how it was compiled, language, time zone, where libraries and authorities are found, and
what sanitisers are to do. Nothing of Python's own: children are started isolated from it.
"""

FAMILIES = ("LC_", "MALLOC_", "OPENSSL_")

PR_SET_DUMPABLE = 4
"""prctl(2)."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Of our variables, those of the fork server and the workers."""
    return {name: value for name, value in environ.items() if name in KEPT or name.startswith(FAMILIES)}


def deny_dumps() -> None:
    """From now on, let no process of the same user read our memory or environment, or trace us, and write no core dump:
    a worker that is taken over runs as the user that we run as. The system's administrator still can.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
