"""A store that keeps nothing beyond the process."""

from collections import deque
from collections.abc import Mapping, Sequence, Set

from canaryproxy.control.state import Audit, State

MAX_AUDITS = 10_000
"""Entries of the history."""


class MemoryStore:
    """Forgets everything when the process ends."""

    def __init__(self) -> None:
        self._audits: deque[Audit] = deque(maxlen=MAX_AUDITS)

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._audits)} entries>"

    def load(self) -> State | None:
        """Nothing was kept."""
        return None

    def save(self, _: State, audits: Sequence[Audit] = ()) -> None:
        """Remember who did what, as long as the process lives."""
        self._audits.extend(audits)

    def history(self, route: str, limit: int) -> list[Audit]:
        """What was done to a route, the newest first."""
        found = [audit for audit in reversed(self._audits) if audit.route == route]
        return found[:limit]

    def store_evidence(self, _: Mapping[str, str], __: Set[str]) -> None:
        """There is nothing that would outlive the judges."""

    def stored_evidence(self) -> dict[str, str]:
        """Nothing was kept."""
        return {}

    def close(self) -> None:
        """Nothing to close."""
