"""The states of an exchange and the moves between them."""

import pytest

from canaryproxy.dataplane.exchange_state import (
    ANSWERED,
    COMPLETED,
    EXPECTING,
    FORGOTTEN,
    LEGAL,
    MOVES,
    OVER,
    SENDING,
    WAITING,
    ExchangeState,
    IllegalMoveError,
)


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(ExchangeState)


@pytest.mark.parametrize("before", ExchangeState)
@pytest.mark.parametrize("after", ExchangeState)
def test_the_bits_say_what_the_table_says(before: ExchangeState, after: ExchangeState) -> None:
    assert bool(LEGAL[before] >> after & 1) is (after in MOVES[before])


@pytest.mark.parametrize("state", ExchangeState)
def test_every_state_is_reached_and_every_exchange_can_end(state: ExchangeState) -> None:
    reached: set[ExchangeState] = set()
    left: list[ExchangeState] = [EXPECTING, SENDING, WAITING]
    while left:
        one = left.pop()
        if one not in reached:
            reached.add(one)
            left.extend(MOVES[one])
    assert state in reached
    assert state is OVER or OVER in MOVES[state]


def test_what_is_over_stays_over() -> None:
    assert not MOVES[OVER]


@pytest.mark.parametrize("table", [ANSWERED, COMPLETED, FORGOTTEN], ids=["answered", "completed", "forgotten"])
def test_what_an_event_leads_to_is_legal(table: dict[int, ExchangeState]) -> None:
    for before, after in table.items():
        assert after in MOVES[before]


@pytest.mark.parametrize("state", ExchangeState)
def test_a_complete_message_stays_complete(state: ExchangeState) -> None:
    if state >= WAITING:
        assert all(after >= WAITING for after in MOVES[state])
    else:
        assert state in COMPLETED
        assert COMPLETED[state] >= WAITING


def test_a_response_that_is_forgotten_leaves_the_request_as_it_was() -> None:
    for before, after in ANSWERED.items():
        assert FORGOTTEN[after] == before


def test_an_illegal_move_is_named() -> None:
    assert "from OVER to WAITING" in str(IllegalMoveError(OVER, WAITING))
