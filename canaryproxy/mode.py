"""Selects compiled or plain modules: one place and one switch, CANARYPROXY_PLAIN, for all modules.

The hot modules are compiled to extensions of the same names beside their sources (setup.py), which Python finds first.
They are used all or none, since compiled modules know the layout of each other's classes, and only if they were
compiled from the sources beside them: a digest of the sources is stored with them. So an upgrade or an edit never runs
mixed with older compiled code. Otherwise, and with CANARYPROXY_PLAIN=1, all modules are imported from source: the
reference for tests, and the fallback without a compiler. CANARYPROXY_PLAIN=0 accepts compiled modules only. setup.py
executes this file, so it imports no other module of ours.

Attributes of compiled classes are declared in the `.pxd` only; these classes have no `__slots__`.
"""

import platform
import sys
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from typing import NamedTuple

# The compiled modules: each from its `.py` with types in a `.pxd`, or from a `.pyx` beside the `.py`, its twin.
HOT = (
    "canaryproxy.admin.newcomers",
    "canaryproxy.http.h1.body",
    "canaryproxy.http.h1.byte_ops",
    "canaryproxy.http.h1.framing",
    "canaryproxy.http.h1.header_scan",
    "canaryproxy.http.forwarding",
    "canaryproxy.http.h1.request_parser",
    "canaryproxy.http.h1.response_parser",
    "canaryproxy.model.client",
    "canaryproxy.model.decision",
    "canaryproxy.model.head",
    "canaryproxy.dataplane.attempt",
    "canaryproxy.dataplane.buffers",
    "canaryproxy.dataplane.client_stream",
    "canaryproxy.dataplane.deadlines",
    "canaryproxy.dataplane.client_h1",
    "canaryproxy.dataplane.outlier_detection",
    "canaryproxy.dataplane.transports",
    "canaryproxy.dataplane.epoll_transports",
    "canaryproxy.dataplane.exchange",
    "canaryproxy.dataplane.evictable_connection",
    "canaryproxy.dataplane.pool",
    "canaryproxy.dataplane.replay_buffer",
    "canaryproxy.dataplane.response_writer",
    "canaryproxy.dataplane.context",
    "canaryproxy.dataplane.upstream_h1",
    "canaryproxy.dataplane.upstream_stream",
    "canaryproxy.routing.affinity",
    "canaryproxy.routing.cache_control",
    "canaryproxy.routing.decide",
    "canaryproxy.routing.compiled_route",
    "canaryproxy.routing.request_view",
    "canaryproxy.routing.field_scan",
    "canaryproxy.routing.goal_matcher",
    "canaryproxy.routing.hashing",
    "canaryproxy.routing.matchers",
    "canaryproxy.routing.route_index",
    "canaryproxy.routing.path",
    "canaryproxy.routing.rule_index",
    "canaryproxy.routing.split",
    "canaryproxy.telemetry.record.distinct_users",
    "canaryproxy.telemetry.record.logarithm",
    "canaryproxy.telemetry.record.recorder",
)

SWITCH = "CANARYPROXY_PLAIN"
PACKAGE = Path(__file__).parent
SUFFIX = EXTENSION_SUFFIXES[0]
# The file with the digest of the sources of this Python's extensions.
RECORD = f"compiled{SUFFIX.removesuffix('.so')}.digest"

NOT_COMPILED = "not compiled"
CHANGED = "the sources have changed since they were compiled; make compile"


class Mode(NamedTuple):
    """Whether the hot modules run compiled, and the reason if not."""

    compiled: bool
    why: str = ""

    @property
    def label(self) -> str:
        """One word, as in metrics."""
        return "compiled" if self.compiled else "plain"

    def __str__(self) -> str:
        how = "compiled" if self.compiled else "plain Python"
        why = f": {self.why}" if self.why not in ("", NOT_COMPILED) else ""
        return f"{how}{why}, {platform.python_implementation()} {platform.python_version()}"


def place(name: str, suffix: str, package: Path = PACKAGE) -> Path:
    """The path of a module's file with a suffix."""
    *folders, last = name.split(".")[1:]
    return package.joinpath(*folders, last + suffix)


def sources(package: Path = PACKAGE) -> Iterator[Path]:
    """The source files of the hot modules."""
    for name in HOT:
        for suffix in (".py", ".pyx", ".pxd"):
            path = place(name, suffix, package)
            if path.exists():
                yield path


def digest(package: Path = PACKAGE) -> str:
    """A digest of all sources: independent of their modification times."""
    found = blake2b(digest_size=16)
    for path in sources(package):
        text = path.read_bytes()
        found.update(f"{path.relative_to(package)} {len(text)}\n".encode() + text)
    return found.hexdigest()


def available(package: Path = PACKAGE) -> Mode:
    """Whether all hot modules are compiled from the present sources."""
    try:
        record = (package / RECORD).read_text().strip()
    except OSError:
        return Mode(False, NOT_COMPILED)
    missing = [name for name in HOT if not place(name, SUFFIX, package).exists()]
    if missing:
        return Mode(False, f"{', '.join(missing)} not compiled; make compile")
    return Mode(True) if record == digest(package) else Mode(False, CHANGED)


def choose(environ: Mapping[str, str], package: Path = PACKAGE) -> Mode:
    """Select how the package's modules are imported. Raises `ImportError` if they must be compiled and are not."""
    switch = environ.get(SWITCH, "")
    mode = Mode(False, f"{SWITCH}=1") if switch == "1" else available(package)
    if switch == "0" and not mode.compiled:
        raise ImportError(f"canaryproxy is to run compiled ({SWITCH}=0), and cannot: {mode.why}")
    if not mode.compiled:
        import_sources_only(package)
    return mode


def import_sources_only(package: Path) -> None:
    """Ignore extensions below `package` from now on."""
    root = str(package)

    def ours(path: str) -> FileFinder:
        if (path != root and not path.startswith(f"{root}/")) or not Path(path).is_dir():
            raise ImportError
        return FileFinder(path, (SourceFileLoader, SOURCE_SUFFIXES), (SourcelessFileLoader, BYTECODE_SUFFIXES))

    sys.path_hooks.insert(0, ours)
    for path in [path for path in sys.path_importer_cache if path == root or path.startswith(f"{root}/")]:
        del sys.path_importer_cache[path]
