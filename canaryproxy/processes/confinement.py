"""Hiding the supervisor's secrets from other processes. Workers, which parse untrusted bytes, inherit only the
environment variables they need, and cannot read the supervisor's memory.
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
"""Log level and format, build mode, language, time zone, library and CA paths, sanitiser options. No variable of
Python's own: children are started isolated from it.
"""

FAMILIES = ("LC_", "MALLOC_", "OPENSSL_")

PR_SET_DUMPABLE = 4
"""prctl(2)."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of our environment that the fork server and the workers get."""
    return {name: value for name, value in environ.items() if name in KEPT or name.startswith(FAMILIES)}


def deny_dumps() -> None:
    """Forbid processes of the same user to read our memory or environment or to trace us, and disable core dumps: a
    compromised worker runs as the same user. Root still can.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
