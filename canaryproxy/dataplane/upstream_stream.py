"""A request's way on, as an exchange knows it, whatever protocol the endpoint speaks.

What is asked of an `UpstreamStream` and what it says to a `ResponseHandler` is payload and neutral heads: framing is
the stream's. The connection of an HTTP/1 endpoint is its own stream (`upstream`).
"""

from canaryproxy.dataplane.transports import FastProtocol
from canaryproxy.model.failure import Failure
from canaryproxy.model.head import RequestHead, ResponseHead


class ResponseHandler:
    """The sender of a request on a stream, which gets what comes of it."""

    __slots__ = ()

    def connected(self, upstream: "UpstreamStream") -> None:
        """A connection was opened for it."""
        raise NotImplementedError

    def connect_failed(self, failure: Failure, why: str = "") -> None:
        """No connection could be opened; `why` is for the log."""
        raise NotImplementedError

    def response_whole(self, head: ResponseHead, body: bytes) -> None:
        """A final head with all of its body."""
        raise NotImplementedError

    def response_head(self, head: ResponseHead) -> bool:
        """An interim or final head; True when nothing more is wanted of this stream."""
        raise NotImplementedError

    def response_data(self, data: bytes) -> None:
        """A piece of the body; an empty one means nothing."""
        raise NotImplementedError

    def response_end(self, trailers: tuple[bytes, ...]) -> None:
        """The end of the body."""
        raise NotImplementedError

    def flush(self) -> None:
        """That was all that the last bytes amounted to."""
        raise NotImplementedError

    def upstream_failed(self, failure: Failure, why: str = "") -> None:
        """The stream or what came over it is unusable; `why` is for the log."""
        raise NotImplementedError

    def request_blocked(self) -> None:
        """The endpoint does not take what was written."""
        raise NotImplementedError

    def request_unblocked(self) -> None:
        """It took it."""
        raise NotImplementedError


class UpstreamStream(FastProtocol):
    """`alive`: a request may be sent on it; `reused`: it has served an earlier one; `answered`: a byte of the response
    came; `blocked`: the endpoint does not take what is written; `expires`: when it is closed if it is not used, in
    monotonic seconds. The handler of the request is `exchange`, which sets None there when it is through with it.
    """

    __slots__ = ("alive", "answered", "blocked", "exchange", "expires", "reused")

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
        """Send a request for `handler`: its head with `lines` as `HeadRewriter.request` made them, and what there is of
        its body already. `trailers` are the lines behind the body, None while more of it is to come.
        """
        raise NotImplementedError

    def data(self, piece: bytes) -> None:
        """Send a piece of the request's body; an empty one means nothing."""
        raise NotImplementedError

    def end(self, trailers: tuple[bytes, ...]) -> None:
        """The request's body is complete."""
        raise NotImplementedError

    def pause(self) -> None:
        """Take no more of the response for now."""
        raise NotImplementedError

    def resume(self) -> None:
        """Take it again."""
        raise NotImplementedError

    def queued(self) -> int:
        """Bytes of the request that the endpoint has not taken."""
        raise NotImplementedError

    def clean(self) -> bool:
        """Whether nothing stands between this stream and a next request."""
        raise NotImplementedError

    def surplus(self) -> int:
        """Bytes that came and belong to no response."""
        raise NotImplementedError

    def abort(self) -> None:
        """End it at once; whatever was under way on it is cut."""
        raise NotImplementedError

    def leave(self) -> bytes:
        """It goes on as a tunnel: what came early."""
        raise NotImplementedError

    def weight(self) -> int:
        """Bytes that are held for the endpoint."""
        raise NotImplementedError
