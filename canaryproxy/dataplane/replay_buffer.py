"""The request body that is kept until there is a connection to send it on, and while it may have to be sent again. It
is payload, framed when sent, and counted in the worker's buffers.
"""

from canaryproxy.dataplane.buffers import PIECE, Buffers

# Body bytes kept for another attempt; a request with a longer body is not repeated.
REPLAY_LIMIT = 65_536


class ReplayBuffer:
    """`complete`: `pieces` hold all of the body so far, `size` bytes; `trailers` are the trailer lines, None before the
    end of the body; `weight` is the memory that the pieces take.
    """

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
        """Keep a piece until there is a connection; returns whether the buffer is full."""
        self._add(piece)
        return self.weight >= self._buffers.water

    def keep(self, piece: bytes) -> None:
        """Keep a piece that is sent, unless the body is too long to be repeated or memory is short."""
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

    def drop(self) -> None:
        """Discard everything: the body will not be sent again."""
        self.complete = False
        self.pieces = []
        self.size = 0
        if self.weight:
            self._buffers.drop(self.weight)
            self.weight = 0
