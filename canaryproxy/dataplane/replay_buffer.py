"""What is kept of a request's body: until there is a connection to send it on, and as long as it may have to be sent
once more. It is payload, framed when it is sent, and counted with all that the worker's buffers hold.
"""

from canaryproxy.dataplane.buffers import PIECE, Buffers

REPLAY_LIMIT = 65_536
"""Body bytes that are kept to be sent once more; a request with a longer body is not repeated."""


class ReplayBuffer:
    """`complete`: all that has come of the body is in `pieces`, `size` bytes; `trailers` are the lines behind it once
    its end has come, None before; `weight` is what the pieces take in memory.
    """

    __slots__ = ("_buffers", "complete", "pieces", "size", "trailers", "weight")

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self.pieces: list[bytes] = []
        self.size = 0
        self.weight = 0
        self.complete = True
        self.trailers: tuple[bytes, ...] | None = None

    def __repr__(self) -> str:
        return f"<ReplayBuffer {self.size} bytes in {len(self.pieces)} pieces{'' if self.complete else ', dropped'}>"

    def hold(self, piece: bytes) -> bool:
        """Keep a piece until there is a connection; whether that is as much as may wait."""
        self._add(piece)
        return self.weight >= self._buffers.water

    def keep(self, piece: bytes) -> None:
        """Keep a piece that is sent, unless there is too much of it to be sent once more, or no memory to spare."""
        if not self.complete:
            return
        # Many small pieces take more memory than they are long, so both are bounded.
        dear = self.weight > 2 * REPLAY_LIMIT or self._buffers.tight
        if dear or self.size + len(piece) > REPLAY_LIMIT:
            self.drop()
        else:
            self._add(piece)

    def _add(self, piece: bytes) -> None:
        weight = len(piece) + PIECE
        self.pieces.append(piece)
        self.size += len(piece)
        self.weight += weight
        self._buffers.add(weight)

    def end(self, trailers: tuple[bytes, ...]) -> None:
        """The body is here to its end."""
        self.trailers = trailers

    def drop(self) -> None:
        """None of it will be sent any more."""
        self.complete = False
        self.pieces = []
        self.size = 0
        if self.weight:
            self._buffers.drop(self.weight)
            self.weight = 0
