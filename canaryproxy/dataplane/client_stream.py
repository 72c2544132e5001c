"""A request's way back, as an exchange knows it, whatever protocol the client speaks.

What an exchange hands to a `ClientStream` is payload and neutral heads: framing is the stream's, and so is what becomes
of the connection when a response is complete. The connection of an HTTP/1 client is its own stream (`downstream`).
"""

from enum import Enum

from canaryproxy.dataplane.context import WorkerContext
from canaryproxy.dataplane.transports import FastProtocol
from canaryproxy.http.forwarding import ForwardedClient
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import ResponseHead


class ClientPhase(Enum):
    """What a client's connection waits for."""

    IDLE = "idle"
    HEAD = "head"
    EXCHANGE = "exchange"
    LINGERING = "lingering"
    CLOSED = "closed"


class ClientStream(FastProtocol):
    """`delivered`: what the client has got of the response to its request (`exchange_state.Delivered`); `paused`: the
    client does not take what we write; `half_closed`: it sends no more.
    """

    __slots__ = ("delivered", "half_closed", "paused", "peer", "plane")

    delivered: int
    half_closed: bool
    paused: bool
    peer: ForwardedClient
    plane: WorkerContext

    # The response.

    def interim(self, head: ResponseHead) -> None:
        """Send an interim response, to a client that understands one."""
        raise NotImplementedError

    def whole(self, head: ResponseHead, lines: bytes, body: bytes) -> None:
        """Send a final head with all of its body; `lines` are further lines of ours."""
        raise NotImplementedError

    def head(self, head: ResponseHead, lines: bytes) -> None:
        """A final head, held back until `flush`: what comes with it may show that the response is broken."""
        raise NotImplementedError

    def data(self, piece: bytes) -> None:
        """A piece of the body, held back until `flush`; an empty one means nothing."""
        raise NotImplementedError

    def end(self, trailers: tuple[bytes, ...]) -> None:
        """Send what was held back, and the end of the body."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send what was held back."""
        raise NotImplementedError

    def forget(self) -> None:
        """Another attempt is made: nothing of what was held back is sent."""
        raise NotImplementedError

    def complete(self) -> None:
        """The response was handed on and counted; go on with the next request, or end the connection."""
        raise NotImplementedError

    def answer(self, failure: Failure, lines: bytes, close: bool) -> None:
        """Say that there is no response, in an answer of our own with these further lines. Where a part of one has
        left, end it so that the client notices. `close`: nothing that the client sends on this stream can be used.
        """
        raise NotImplementedError

    # How the two sides get on.

    def block(self) -> None:
        """Stop reading: the upstream does not keep up with the client."""
        raise NotImplementedError

    def unblock(self) -> None:
        """Read again."""
        raise NotImplementedError

    def rearm(self) -> None:
        """It may be another one's turn now: set the client's clock accordingly."""
        raise NotImplementedError

    def leave(self) -> bytes:
        """The connection goes on as a tunnel: what was read ahead."""
        raise NotImplementedError
