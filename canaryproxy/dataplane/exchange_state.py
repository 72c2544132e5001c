"""How far one exchange has come: one state, and the moves that are legal.

Two things happen beside each other, the client's message comes in and the response comes back, so a state says how far
both are. Everything that may be done in an exchange is asked of its state, and a move that is not in the table is a
defect of ours, never of a peer: it raises at once.
"""

from enum import IntEnum


class ExchangeState(IntEnum):
    """In an order that is used: from WAITING on the client's message is complete."""

    EXPECTING = 0
    """The client waits for a 100 before it sends its body (RFC 9110 10.1.1)."""
    SENDING = 1
    """The client sends its body."""
    ANSWERED_EXPECTING = 2
    """The version has answered, and the client still waits for a 100."""
    ANSWERED_EARLY = 3
    """The version has answered and takes the rest of the body all the same."""
    ABANDONED = 4
    """The version has answered and has no use for the rest of the body, which still comes."""
    WAITING = 5
    """All was said, and the version has not answered."""
    ANSWERING = 6
    """All was said, and the head of the final response is here."""
    DISCARDED = 7
    """As ANSWERING, but the end of the body was not passed on: the version's connection cannot be used again."""
    TUNNEL = 8
    """The two connections were joined."""
    OVER = 9
    """It was counted."""


(
    EXPECTING,
    SENDING,
    ANSWERED_EXPECTING,
    ANSWERED_EARLY,
    ABANDONED,
    WAITING,
    ANSWERING,
    DISCARDED,
    TUNNEL,
    OVER,
) = ExchangeState


class Delivered(IntEnum):
    """What the client has got of a response."""

    NOTHING = 0
    INTERIM = 1
    FINAL = 2


NOTHING, INTERIM, FINAL = Delivered

MOVES: dict[int, frozenset[ExchangeState]] = {
    EXPECTING: frozenset((SENDING, WAITING, ANSWERED_EXPECTING, ABANDONED, OVER)),
    SENDING: frozenset((WAITING, ANSWERED_EARLY, ABANDONED, OVER)),
    ANSWERED_EXPECTING: frozenset((EXPECTING, ANSWERED_EARLY, ANSWERING, OVER)),
    ANSWERED_EARLY: frozenset((SENDING, ANSWERING, OVER)),
    ABANDONED: frozenset((DISCARDED, OVER)),
    WAITING: frozenset((ANSWERING, TUNNEL, OVER)),
    ANSWERING: frozenset((WAITING, OVER)),
    DISCARDED: frozenset((OVER,)),
    TUNNEL: frozenset((OVER,)),
    OVER: frozenset(),
}
"""The legal moves. The three that lead back forget a response of which nothing has left, for another attempt."""

COMPLETED: dict[int, ExchangeState] = {
    EXPECTING: WAITING,
    SENDING: WAITING,
    ANSWERED_EXPECTING: ANSWERING,
    ANSWERED_EARLY: ANSWERING,
    ABANDONED: DISCARDED,
}
"""Where the end of the client's message leads."""

ANSWERED: dict[int, ExchangeState] = {EXPECTING: ANSWERED_EXPECTING, SENDING: ANSWERED_EARLY, WAITING: ANSWERING}
"""Where the head of the final response leads, unless it makes the rest of the body useless (ABANDONED)."""

FORGOTTEN: dict[int, ExchangeState] = {after: ExchangeState(before) for before, after in ANSWERED.items()}
"""Where it leads to that a response is forgotten."""

LEGAL = tuple([sum(1 << to for to in MOVES[state]) for state in ExchangeState])
"""`MOVES` as bits: one look at each move."""


class IllegalMoveError(RuntimeError):
    """A defect: an exchange was to go where its state does not lead."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(f"an exchange does not go from {ExchangeState(before).name} to {ExchangeState(after).name}")
