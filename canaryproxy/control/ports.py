"""The port to what survives a restart. Calls block, so they are made away from the event loop."""

from collections.abc import Mapping, Sequence, Set
from typing import Protocol

from canaryproxy.control.state import Audit, State


class CorruptStateError(Exception):
    """What was kept cannot be trusted; the message says what is wrong and where it is now."""


class TooNewStateError(Exception):
    """What is kept was written by a later version and must not be acted on; the message says what and where."""


class ForeignStateError(Exception):
    """What is where the state should be is something else; the message says what it is."""


class UnreadableStateError(Exception):
    """There is something kept that cannot be read at present; the message says why."""


class UnwritableStateError(Exception):
    """Nothing can be kept at present; the message says why."""


class Store(Protocol):
    """Keeps the state of the routes, and who did what."""

    def load(self) -> State | None:
        """What was kept, None on a first start. Raises `CorruptStateError`, `TooNewStateError` and
        `UnreadableStateError`.
        """

    def save(self, state: State, /, audits: Sequence[Audit] = ()) -> None:
        """Keep it durably, or raise `UnwritableStateError` and change nothing."""

    def history(self, route: str, limit: int) -> list[Audit]:
        """What was done to a route, the newest first."""

    def store_evidence(self, learnt: Mapping[str, str], keep: Set[str]) -> None:
        """Keep what judges have learnt, by route, and forget all but those to `keep`. Raises `UnwritableStateError`."""

    def stored_evidence(self) -> dict[str, str]:
        """What judges had learnt, by route. Raises `UnwritableStateError` if it cannot be read."""

    def close(self) -> None:
        """Let go of it."""
