"""What the two planes say to each other. Frozen plain data; every type has a number in `codec`.

Down: `WorkerConfig` once, then `Publication`, `Certificates`, `Drain`. Up: `Introduction` once, then `Delta` several
times a second, `Acknowledged` for every table, `Drained` at the end.
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

VERSION = 5
"""Of the messages. Both ends come from one installation; the number catches one that was replaced under way."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """Which code a worker runs: its version, whether compiled and why not, where it lies, and its interpreter.

    Understood whatever `VERSION` the other end speaks: what it has more of is left out, what it lacks is empty.
    """

    version: str = ""
    compiled: bool = False
    why: str = ""
    package: str = ""
    python: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """A routing table as the difference to the one sent before.

    `names` are all routes in order; `routes` those that are new or have changed, without their rules; `rules`
    those of routes whose rules have changed.
    """

    generation: int
    names: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """How connections of one inherited socket begin: with a TLS handshake, with a PROXY protocol header."""

    tls: ListenerTls | None = None
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Where the access log goes and in which format."""

    path: str
    format: str


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything a worker needs to serve. `slot` is its number, 0 .. `slots` - 1; `identity` the instance's
    pseudonym; `secret` the key under which users are numbered (`telemetry.distinct`); `trusted` are networks of proxies
    in front of us, `forwarding` what they write; `listeners` are in the order of the sockets.
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
    """Finish what is open, take nothing new, and end."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Every request head from now on is decided by this generation or a later one. The first one also says that
    the worker listens.
    """

    generation: int


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing is open any more; `cut` exchanges had to be cut."""

    cut: int


Message = WorkerConfig | Publication | Certificates | Drain | Introduction | Delta | Acknowledged | Drained

FORK = b"f"
"""Supervisor to fork server, over a socket that keeps message boundaries: fork a worker, whose channel comes along as a
descriptor. The answer is its `PID` and a pidfd."""

RETIRE = b"r"
"""Supervisor to fork server: exit without the workers. If the socket closes without it, the workers exit too."""

PID = struct.Struct("!I")
