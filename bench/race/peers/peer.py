"""What every peer is: a name, and how to start it at a place with the work that all do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """PEM files: `chain`, its `key`, and `both` in one."""

    chain: Path
    key: Path
    both: Path


@dataclass(frozen=True)
class Place:
    """Where a proxy runs: a folder of its own, its port, the origins' ports; with a certificate it speaks TLS."""

    folder: Path
    listen: int
    stable: int
    canary: int
    certificate: Certificate | None = None

    def write(self, name: str, text: str) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Command:
    """How to start it, and how to ask it whether it accepts its configuration (empty: it cannot be asked)."""

    words: list[str]
    check: list[str] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """`lacks`: the work it cannot be configured to do, for the page. `fields`: what origins must find in a request."""

    name: str
    command: Callable[[Place], Command]
    lacks: str = ""
    fields: tuple[str, ...] = (
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-request-id",
        "via",
    )
    tls: bool = True
    pools: bool = True
