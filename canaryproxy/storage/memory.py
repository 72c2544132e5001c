"""A store in memory."""

from collections import deque
from collections.abc import Mapping, Sequence, Set

from canaryproxy.control.state import Audit, State

# Maximum length of the history.
MAX_AUDITS = 10_000


class MemoryStore:
    """Keeps the history until the process ends, and nothing else: the control plane holds the state itself."""

    def __init__(self) -> None:
        self._audits: deque[Audit] = deque(maxlen=MAX_AUDITS)

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._audits)} entries>"

    def load(self) -> State | None:
        """There is no stored state."""
        return None

    def save(self, _: State, audits: Sequence[Audit] = ()) -> None:
        """Add to the history."""
        self._audits.extend(audits)

    def history(self, route: str, limit: int) -> list[Audit]:
        """The history of a route, newest first."""
        found = [audit for audit in reversed(self._audits) if audit.route == route]
        return found[:limit]

    def store_evidence(self, _: Mapping[str, str], __: Set[str]) -> None:
        """Evidence is not stored."""

    def stored_evidence(self) -> dict[str, str]:
        """There is no stored evidence."""
        return {}

    def close(self) -> None:
        """Nothing to close."""
