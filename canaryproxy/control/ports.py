"""The port to the state storage. Calls block: make them in a thread."""

from collections.abc import Mapping, Sequence, Set
from typing import Protocol

from canaryproxy.control.state import Audit, State


class CorruptStateError(Exception):
    """The stored state is damaged; the message says how, and where it is now."""


class TooNewStateError(Exception):
    """The stored state was written by a later version and must not be used; the message says which and where."""


class ForeignStateError(Exception):
    """The state file is something else; the message says what."""


class UnreadableStateError(Exception):
    """The stored state cannot be read at present; the message says why."""


class UnwritableStateError(Exception):
    """The state cannot be written at present; the message says why."""


class Store(Protocol):
    """Stores the state of the routes, the audit history, and evidence."""

    def load(self) -> State | None:
        """The stored state, None on a first start. Raises `Corrupt`-, `TooNew`- or `UnreadableStateError`."""

    def save(self, state: State, /, audits: Sequence[Audit] = ()) -> None:
        """Store it durably, or raise `UnwritableStateError` and change nothing."""

    def history(self, route: str, limit: int) -> list[Audit]:
        """The audits of a route, the newest first."""

    def store_evidence(self, learnt: Mapping[str, str], keep: Set[str]) -> None:
        """Store evidence by route, and delete that of routes not in `keep`. Raises `UnwritableStateError`."""

    def stored_evidence(self) -> dict[str, str]:
        """Evidence by route. Raises `UnwritableStateError` if it cannot be read."""

    def close(self) -> None:
        """Close the storage."""
