"""What is kept of a request's body: until there is a connection to send it on, and as long as it may have to be sent
once more. It is counted with all that the worker's buffers hold.
"""

from canaryproxy.proxy.buffers import PIECE
from canaryproxy.proxy.shared import Shared
from canaryproxy.proxy.upstream import Recipient

REPLAY_LIMIT = 65_536
"""Body bytes that are kept to be sent once more; a request with a longer body is not repeated."""


class Keeping(Recipient):
    """`_unsent` waits for a connection; `_kept`: all that was sent is still here, the body in `_replay`; `_weight` is
    what the two take.
    """

    __slots__ = ("_kept", "_plane", "_replay", "_replay_size", "_unsent", "_unsent_size", "_weight")

    _kept: bool
    _plane: Shared
    _replay: list[bytes] | None
    _replay_size: int
    _unsent: list[bytes] | None
    _unsent_size: int
    _weight: int

    def _await_connection(self, data: bytes) -> bool:
        """Keep a piece until there is a connection; whether that is as much as may wait."""
        if self._unsent is None:
            self._unsent = []
        self._unsent.append(data)
        self._unsent_size += len(data)
        self._weigh()
        return self._weight >= self._plane.buffers.water

    def _keep(self, data: bytes) -> None:
        """It may have to be sent once more, unless there is too much of it, or no memory to spare."""
        self._replay_size += len(data)
        dear = self._weight > 2 * REPLAY_LIMIT or self._plane.buffers.tight
        if self._replay_size > REPLAY_LIMIT or dear:
            self._kept = False
            self._replay = None
        elif self._replay is None:
            self._replay = [data]
        else:
            self._replay.append(data)
        self._weigh()

    def _restore(self) -> None:
        """What was sent is to be sent once more."""
        self._unsent, self._replay = self._replay, None
        self._kept = False
        self._unsent_size = self._replay_size
        self._weigh()

    def _let_go(self) -> None:
        """None of it will be sent any more."""
        self._unsent = self._replay = None
        self._kept = False
        self._weigh()

    def _weigh(self) -> None:
        weight = 0
        if self._unsent is not None:
            weight += self._unsent_size + PIECE * len(self._unsent)
        if self._replay is not None:
            weight += self._replay_size + PIECE * len(self._replay)
        if weight != self._weight:
            self._plane.buffers.add(weight - self._weight)
            self._weight = weight
