"""Log lines about failed attempts: request, endpoint and reason.

An outage must not write a line per request. For one endpoint and one kind of failure, at most `MAX_LINES` lines are
written in `PERIOD_SECONDS`; the number of suppressed lines follows at the end of the period. So an endpoint that fails
all the time hides neither other endpoints nor its other failures. No bytes of a peer are logged: reasons are fixed
sentences or the system's, and unprintable characters are escaped.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from canaryproxy.escape import escaped
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure

# Limit on lines per period, for each endpoint and kind of failure, in each worker.
MAX_LINES = 5
PERIOD_SECONDS = 10.0

# Characters of a reason that are logged.
MAX_REASON_LENGTH = 200

EVENT = "upstream-error"

log = logging.getLogger("canaryproxy")


class ErrorKind(NamedTuple):
    """Failures that are counted together. `error` is the type of RFC 9209."""

    route: str
    version: str
    endpoint: str
    error: str
    mirror: bool

    def __str__(self) -> str:
        copy = ", a mirrored copy" if self.mirror else ""
        return f"{self.route}: {self.version} at {self.endpoint or 'no endpoint'}: {self.error}{copy}"


class SuppressionWindow:
    """Lines of one kind of failure in the period that ends at `until`."""

    __slots__ = ("lines", "suppressed", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.lines = 0
        self.suppressed = 0


class ErrorLog:
    """The failures of a worker's endpoints. `clock` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[ErrorKind, SuppressionWindow] = {}

    def __repr__(self) -> str:
        return f"<ErrorLog {len(self._windows)} kinds of failure>"

    def note(self, failure: Failure, target: Decision, request_id: bytes, why: str, *, mirror: bool = False) -> None:
        """Log a failed attempt at `target`."""
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
        reason = escaped(why or failure.name.lower().replace("_", " "), MAX_REASON_LENGTH)
        request = escaped(request_id.decode("latin-1"), MAX_REASON_LENGTH)
        _write(kind, "%s: %s (request %s)", kind, reason, request or "-", reason=reason, request_id=request)

    def sweep(self, tick: float) -> None:
        """Report the suppressed lines of periods that have ended."""
        for kind in [kind for kind, window in self._windows.items() if window.until <= tick]:
            self._close(kind)

    def close(self) -> None:
        """Report all suppressed lines: the worker exits."""
        for kind in list(self._windows):
            self._close(kind)

    def _close(self, kind: ErrorKind) -> None:
        window = self._windows.pop(kind, None)
        if window is not None and (count := window.suppressed):
            _write(kind, "%s: %d more like this in %g s", kind, count, PERIOD_SECONDS, suppressed=count)


def _write(kind: ErrorKind, words: str, *values: object, **fields: object) -> None:
    log.warning(words, *values, extra={"fields": {"event": EVENT, **kind._asdict(), **fields}})
