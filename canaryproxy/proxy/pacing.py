"""Whom an exchange waits for, and what happens when it has waited long enough.

Each side that is slow stops the other, and its clock runs alone: the version's (`Attempts._wait`) or the client's,
which its connection keeps (`Downstream.rearm`). The table of all clocks in all states is in docs/life-of-a-request.md.
"""

from canaryproxy.model.failure import Failure
from canaryproxy.model.message import RequestHead
from canaryproxy.proxy.attempts import NEVER
from canaryproxy.proxy.exchange_state import (
    ABANDONED,
    ANSWERED_EARLY,
    ANSWERED_EXPECTING,
    DISCARDED,
    EXPECTING,
    SENDING,
)
from canaryproxy.proxy.rescue import Rescue


def expects(head: RequestHead) -> bool:
    """Whether the client waits for a 100 before it sends its body; in HTTP/1.0 there is none (RFC 9110 10.1.1)."""
    return head.minor > 0 and any(name == b"expect" for name, _ in head.special)


class Pacing(Rescue):
    """An exchange between two sides that are not equally fast."""

    __slots__ = ()

    def owed(self) -> bool:
        """Whether it is the client's turn to send."""
        return self.state == SENDING or self.state == ANSWERED_EARLY

    def _begun(self) -> None:
        """The client sends its body, or was asked to: from now on it is its turn."""
        if self.state == EXPECTING:
            self._move(SENDING)
        elif self.state == ANSWERED_EXPECTING:
            self._move(ANSWERED_EARLY)
        self._wait()
        self.down.rearm()

    def request_blocked(self) -> None:
        """The endpoint does not keep up: stop reading from the client, and do not wait for ever."""
        if self.state not in (ABANDONED, DISCARDED) and self._upstream is not None:
            self.down.block()
            self._queued = self._upstream.transport.get_write_buffer_size()
            self._wait()

    def request_unblocked(self) -> None:
        """The endpoint took what was queued."""
        self.down.unblock()
        self._wait()

    def response_paused(self) -> None:
        """The client does not keep up: stop reading from the upstream, stop its clock."""
        if self._upstream is not None and not self._paused_at:
            self._paused_at = self._plane.now()
            self._upstream.transport.pause_reading()
            self.deadline = NEVER

    def response_resumed(self) -> None:
        """The client took what was queued."""
        if self._upstream is not None and self._paused_at:
            self._excluded += self._plane.now() - self._paused_at
            self._paused_at = 0.0
            self._upstream.transport.resume_reading()
            self._wait()

    def expired(self) -> None:
        """The deadline passed. An endpoint that slowly takes what is queued for it gets more time."""
        upstream = self._upstream
        if upstream is not None and upstream.blocked:
            before, self._queued = self._queued, upstream.transport.get_write_buffer_size()
            if self._queued != before:
                self._wait()
                return
        if self._connecting is not None:
            self._connecting.cancel()
            self.connect_failed(Failure.CONNECT_TIMEOUT, f"no connection within {self._target.connect_timeout:g} s")
        else:
            what = "nothing of the request was taken" if upstream is not None and upstream.blocked else "no byte came"
            self._go_on(Failure.RESPONSE_TIMEOUT, f"{what} for {self._target.response_timeout:g} s")
