"""The progress of one exchange: one state, and the legal moves between states.

The request arrives and the response comes back at the same time, so a state describes both. All decisions within an
exchange depend on its state. A move that is not in the table is a defect of ours, never of a peer: it raises at once.
"""

from enum import IntEnum


class ExchangeState(IntEnum):
    """The order matters: from WAITING on, the client's message is complete."""

    EXPECTING = 0
    """The client waits for a 100 before it sends its body (RFC 9110 10.1.1)."""
    SENDING = 1
    """The client sends its body."""
    ANSWERED_EXPECTING = 2
    """The version has answered, and the client still waits for a 100."""
    ANSWERED_EARLY = 3
    """The version has answered and still reads the rest of the body."""
    ABANDONED = 4
    """The version has answered and does not read the rest of the body, which still arrives."""
    WAITING = 5
    """The request is complete, and the version has not answered."""
    ANSWERING = 6
    """The request is complete, and the head of the final response has arrived."""
    DISCARDED = 7
    """As ANSWERING, but the end of the body was not passed on: the version's connection cannot be reused."""
    TUNNEL = 8
    """The two connections became a tunnel."""
    OVER = 9
    """Counted."""


EXPECTING, SENDING, ANSWERED_EXPECTING, ANSWERED_EARLY, ABANDONED, *_COMPLETE = ExchangeState
WAITING, ANSWERING, DISCARDED, TUNNEL, OVER = _COMPLETE


class Delivered(IntEnum):
    """The part of a response that was sent to the client."""

    NOTHING = 0
    INTERIM = 1
    FINAL = 2


NOTHING, INTERIM, FINAL = Delivered

# The legal moves. The three that lead back discard a response of which nothing was sent, for another attempt.
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

# The state after the end of the client's message.
COMPLETED: dict[int, ExchangeState] = {
    EXPECTING: WAITING,
    SENDING: WAITING,
    ANSWERED_EXPECTING: ANSWERING,
    ANSWERED_EARLY: ANSWERING,
    ABANDONED: DISCARDED,
}

# The state after the head of the final response, unless that makes the rest of the body useless (ABANDONED).
ANSWERED: dict[int, ExchangeState] = {EXPECTING: ANSWERED_EXPECTING, SENDING: ANSWERED_EARLY, WAITING: ANSWERING}

# The state after a response is discarded.
FORGOTTEN: dict[int, ExchangeState] = {after: ExchangeState(before) for before, after in ANSWERED.items()}

# `MOVES` as bit sets: one lookup per move.
LEGAL = tuple([sum(1 << to for to in MOVES[state]) for state in ExchangeState])


class IllegalMoveError(RuntimeError):
    """A defect: the state does not allow this move."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(f"an exchange does not go from {ExchangeState(before).name} to {ExchangeState(after).name}")
