"""The client's connection as an exchange knows it: who asks, where the answer goes, and how the two get on."""

from enum import Enum
from typing import TYPE_CHECKING

from canaryproxy.http1.hops import Peer
from canaryproxy.proxy.ends import Receiver

if TYPE_CHECKING:
    from canaryproxy.proxy.shared import Shared


class Phase(Enum):
    """What a client's connection waits for."""

    IDLE = "idle"
    HEAD = "head"
    EXCHANGE = "exchange"
    LINGERING = "lingering"
    CLOSED = "closed"


class Caller(Receiver):
    """`paused`: the client does not take what we write; `half_closed`: it sends no more."""

    __slots__ = ("half_closed", "paused", "peer", "plane")

    half_closed: bool
    paused: bool
    peer: Peer
    plane: "Shared"

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

    def finished(self, close: bool) -> None:
        """The answer is on its way; go on with the next request or end the connection."""
        raise NotImplementedError

    def cut(self, hard: bool) -> None:
        """End a response that cannot be completed so that the client notices.

        Bytes that are queued still leave; `hard` resets the connection, for a response that only its
        close delimits and would otherwise look whole.
        """
        raise NotImplementedError
