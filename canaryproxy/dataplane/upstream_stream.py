"""The endpoint's side of a request, as seen by an exchange, whatever protocol the endpoint speaks.

An `UpstreamStream` takes, and a `ResponseHandler` receives, payload and protocol-neutral heads; the stream does the
framing. An HTTP/1 connection is its own stream (`upstream_h1`).
"""

from canaryproxy.dataplane.transports import FastProtocol
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead, ResponseHead


class ResponseHandler:
    """The sender of a request on a stream, which receives the response."""

    def connected(self, upstream: "UpstreamStream") -> None:
        """The connection was opened."""
        raise NotImplementedError

    def connect_failed(self, failure: Failure, why: str = "") -> None:
        """No connection could be opened; `why` is for the log."""
        raise NotImplementedError

    def response_whole(self, head: ResponseHead, body: bytes) -> None:
        """A final head with its whole body."""
        raise NotImplementedError

    def response_head(self, head: ResponseHead) -> bool:
        """An interim or final head; returns True if nothing more is expected of this stream."""
        raise NotImplementedError

    def response_data(self, data: bytes) -> None:
        """A piece of the body; an empty one is ignored."""
        raise NotImplementedError

    def response_end(self, trailers: tuple[bytes, ...]) -> None:
        """The end of the body."""
        raise NotImplementedError

    def flush(self) -> None:
        """The last bytes received are processed."""
        raise NotImplementedError

    def upstream_failed(self, failure: Failure, why: str = "") -> None:
        """The stream, or what was received on it, is unusable; `why` is for the log."""
        raise NotImplementedError

    def request_blocked(self) -> None:
        """The endpoint does not read what is written."""
        raise NotImplementedError

    def request_unblocked(self) -> None:
        """The endpoint has read most of what was queued."""
        raise NotImplementedError


class UpstreamStream(FastProtocol):
    """`alive`: a request may be sent on it; `reused`: it has served an earlier one; `answered`: a byte of the response
    was received; `blocked`: the endpoint does not read what is written; `expires`: when it is closed if unused, in
    monotonic seconds. `exchange` is the handler of the request, which resets it to None when it is done.
    """

    alive: bool
    answered: bool
    blocked: bool
    exchange: ResponseHandler | None
    expires: float
    reused: bool

    def ask(
        self,
        handler: ResponseHandler,
        head: RequestHead,
        lines: tuple[bytes, bytes, bytes, bytes],
        pieces: list[bytes] | None,
        trailers: tuple[bytes, ...] | None,
    ) -> None:
        """Send a request for `handler`: its head with `lines` as returned by `HeadRewriter.request`, and the part of
        its body that is there. `trailers` are the trailer lines, None while more of the body is to come.
        """
        raise NotImplementedError

    def data(self, piece: bytes) -> None:
        """Send a piece of the request's body; an empty one is ignored."""
        raise NotImplementedError

    def end(self, trailers: tuple[bytes, ...]) -> None:
        """The request's body is complete."""
        raise NotImplementedError

    def pause(self) -> None:
        """Pause reading the response."""
        raise NotImplementedError

    def resume(self) -> None:
        """Resume reading the response."""
        raise NotImplementedError

    def queued(self) -> int:
        """Bytes of the request that the endpoint has not read."""
        raise NotImplementedError

    def clean(self) -> bool:
        """Whether the stream is ready for another request."""
        raise NotImplementedError

    def surplus(self) -> int:
        """Bytes received that belong to no response."""
        raise NotImplementedError

    def abort(self) -> None:
        """End the stream at once, even with a request under way."""
        raise NotImplementedError

    def leave(self) -> bytes:
        """Hand the stream over to a tunnel; returns the bytes received early."""
        raise NotImplementedError

    def weight(self) -> int:
        """Bytes held for the endpoint."""
        raise NotImplementedError
