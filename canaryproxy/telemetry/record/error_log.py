"""What went wrong with an endpoint, as lines of the log: which request, which endpoint, and why.

An outage is one event and not a line for every request. Of what one endpoint does wrong in one way, LINES requests in
PERIOD seconds have a line of their own; how many more there were is said when the time is over. So an endpoint that
fails all the time hides neither another one nor another trouble of its own. Nothing that a peer sent is shown: reasons
are our sentences or the system's, and what does not print is escaped all the same.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from canaryproxy.escape import escaped
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure

MAX_LINES = 5
PERIOD_SECONDS = 10.0
"""So many lines in so many seconds, for each endpoint and kind of failure, by each worker."""

MAX_REASON_LENGTH = 200
"""Characters of a reason that are shown."""

EVENT = "upstream-error"

log = logging.getLogger("canaryproxy")


class ErrorKind(NamedTuple):
    """What is counted together. `error` is the type of RFC 9209."""

    route: str
    version: str
    endpoint: str
    error: str
    mirror: bool

    def __str__(self) -> str:
        copy = ", a mirrored copy" if self.mirror else ""
        return f"{self.route}: {self.version} at {self.endpoint or 'no endpoint'}: {self.error}{copy}"


class SuppressionWindow:
    """One kind of failure since it was first seen, at `until` less PERIOD."""

    __slots__ = ("lines", "suppressed", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.lines = 0
        self.suppressed = 0


class ErrorLog:
    """The errors of a worker's endpoints. `clock` tells monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[ErrorKind, SuppressionWindow] = {}

    def __repr__(self) -> str:
        return f"<ErrorLog {len(self._windows)} kinds of failure>"

    def note(self, failure: Failure, target: Decision, request_id: bytes, why: str, *, mirror: bool = False) -> None:
        """An attempt at `target` came to nothing."""
        endpoint = "" if target.endpoint is None else target.endpoint.authority
        kind = ErrorKind(target.route.name, target.version.name, endpoint, failure.error, mirror)
        window = self._windows.get(kind)
        if window is None or window.until <= self._clock():
            self._close(kind)
            window = self._windows[kind] = SuppressionWindow(self._clock() + PERIOD_SECONDS)
        if window.lines >= MAX_LINES:
            window.suppressed += 1
            return
        window.lines += 1
        reason, request = (
            escaped(why or failure.name.lower().replace("_", " "), MAX_REASON_LENGTH),
            escaped(request_id.decode("latin-1"), MAX_REASON_LENGTH),
        )
        _write(kind, "%s: %s (request %s)", kind, reason, request or "-", reason=reason, request_id=request)

    def sweep(self, tick: float) -> None:
        """Say how many had no line, where the time is over."""
        for kind in [kind for kind, window in self._windows.items() if window.until <= tick]:
            self._close(kind)

    def close(self) -> None:
        """Say it of all: this worker ends."""
        for kind in list(self._windows):
            self._close(kind)

    def _close(self, kind: ErrorKind) -> None:
        window = self._windows.pop(kind, None)
        if window is not None and window.suppressed:
            _write(
                kind,
                "%s: %d more like this in %g s",
                kind,
                window.suppressed,
                PERIOD_SECONDS,
                suppressed=window.suppressed,
            )


def _write(kind: ErrorKind, words: str, *values: object, **fields: object) -> None:
    log.warning(words, *values, extra={"fields": {"event": EVENT, **kind._asdict(), **fields}})
