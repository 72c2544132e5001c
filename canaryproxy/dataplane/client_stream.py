"""The client's side of a request, as seen by an exchange, whatever protocol the client speaks.

An exchange passes payload and protocol-neutral heads to a `ClientStream`, which does the framing and decides whether
the connection persists. An HTTP/1 client connection is its own stream (`client_h1`).
"""

from enum import Enum

from canaryproxy.dataplane.context import WorkerContext
from canaryproxy.dataplane.transports import FastProtocol
from canaryproxy.http.forwarding import ForwardedClient
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import ResponseHead


class ClientPhase(Enum):
    """What a client connection waits for."""

    IDLE = "idle"
    HEAD = "head"
    EXCHANGE = "exchange"
    LINGERING = "lingering"
    CLOSED = "closed"


class ClientStream(FastProtocol):
    """`delivered`: the part of the response sent to the client (`exchange_state.Delivered`); `paused`: the client does
    not read what is written; `half_closed`: it sends nothing more.
    """

    delivered: int
    half_closed: bool
    paused: bool
    peer: ForwardedClient
    plane: WorkerContext

    # The response.

    def interim(self, head: ResponseHead) -> None:
        """Send an interim response to a client that understands it."""
        raise NotImplementedError

    def whole(self, head: ResponseHead, lines: bytes, body: bytes) -> None:
        """Send a final head with its whole body; `lines` are additional header lines."""
        raise NotImplementedError

    def head(self, head: ResponseHead, lines: bytes) -> None:
        """Hold back a final head until `flush`: the bytes that come with it may be malformed."""
        raise NotImplementedError

    def data(self, piece: bytes) -> None:
        """Hold back a piece of the body until `flush`; an empty piece is ignored."""
        raise NotImplementedError

    def end(self, trailers: tuple[bytes, ...]) -> None:
        """Send what was held back, and end the body."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send what was held back."""
        raise NotImplementedError

    def forget(self) -> None:
        """Discard what was held back: another attempt is made."""
        raise NotImplementedError

    def complete(self) -> None:
        """The response was passed on and counted: go on with the next request, or close."""
        raise NotImplementedError

    def answer(self, failure: Failure, lines: bytes, close: bool) -> None:
        """Send a local response with these additional lines. If part of a response was sent, abort it so that the
        client notices. `close`: nothing more that the client sends on this stream can be used.
        """
        raise NotImplementedError

    # Flow control.

    def block(self) -> None:
        """Pause reading: the upstream reads slower than the client sends."""
        raise NotImplementedError

    def unblock(self) -> None:
        """Resume reading."""
        raise NotImplementedError

    def rearm(self) -> None:
        """Set the client's deadline: the exchange may now wait for the other side."""
        raise NotImplementedError

    def leave(self) -> bytes:
        """Hand the connection over to a tunnel; returns the bytes read ahead."""
        raise NotImplementedError
