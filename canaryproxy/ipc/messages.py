"""Messages between control plane and data plane. Frozen plain data; `codec` numbers the types.

Down: `WorkerConfig` once, then `Publication`, `Certificates`, `Drain`. Up: `Introduction` once, then `Delta` several
times a second, `Acknowledged` for every table, `Drained` at the end. Supervisor and fork server exchange single bytes.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.forwarded import Forwarding
from canaryproxy.model.report import Delta
from canaryproxy.model.rule import Rule
from canaryproxy.model.settings import Limits, Timeouts
from canaryproxy.model.table import Route

# Version of the messages. Both ends come from one installation, unless it was replaced while the instance ran.
VERSION = 6


@dataclass(frozen=True, slots=True)
class Introduction:
    """The build of a worker: version, whether compiled and why not, package directory, and interpreter.

    Decoded for every `VERSION` of the other end: unknown fields are ignored, missing ones are empty.
    """

    version: str = ""
    compiled: bool = False
    why: str = ""
    package: str = ""
    python: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """A routing table as a difference to the one sent before.

    `names` are all routes in order; `routes` the new or changed ones without their rules; `rules` the rules of routes
    whose rules have changed.
    """

    generation: int
    names: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Settings of one inherited socket: TLS, and whether connections begin with a PROXY protocol header."""

    tls: ListenerTls | None = None
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Path and format of the access log."""

    path: str
    format: str


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The configuration of a worker. `slot` is its number, 0 .. `slots` - 1; `identity` the instance's pseudonym;
    `secret` the key of `UserNumbers`; `trusted` are networks of proxies in front of us, `forwarding` the header fields
    they write; `listeners` are in the order of the sockets.
    """

    slot: int
    slots: int
    identity: str
    secret: bytes
    limits: Limits
    timeouts: Timeouts
    trusted: tuple[str, ...]
    forwarding: Forwarding
    listeners: tuple[ListenerSettings, ...]
    access_log: AccessLog | None
    table: Publication


@dataclass(frozen=True, slots=True)
class Certificates:
    """New certificates for the listeners, in their order."""

    listeners: tuple[ListenerTls | None, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """Finish open exchanges, accept no connections, and exit."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """From now on every request is decided by this generation or a later one. The first one also says that the worker
    listens.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class Drained:
    """The worker has drained; `cut` exchanges were aborted."""

    cut: int


Message = WorkerConfig | Publication | Certificates | Drain | Introduction | Delta | Acknowledged | Drained

# Supervisor to fork server, over a socket that keeps message boundaries: fork a worker, whose channel comes along as a
# descriptor. The answer is its `PID` and a pidfd.
FORK = b"f"

# Supervisor to fork server: exit without the workers. If the socket closes without it, the workers exit too.
RETIRE = b"r"

PID = struct.Struct("!I")
