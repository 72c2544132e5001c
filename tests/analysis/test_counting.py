"""What counts, and who is at risk."""

from canaryproxy.analysis.counting import (
    BlockCounts,
    ExposureCounter,
    UsersAtRisk,
    failures,
    judged,
    matching_statuses,
    side_of,
)
from canaryproxy.analysis.finding import Exposure
from canaryproxy.analysis.spec import ErrorSpec
from canaryproxy.analysis.stats.rate_tests import Block
from canaryproxy.model.report import CounterDelta
from tests.support.traffic import key

CELL = CounterDelta(
    key("canary"),
    5,
    outcomes={"success": 5, "error_5xx": 2, "timeout": 1, "client_abort": 3, "overflow": 4},
    replies={404: 1, 429: 2, 503: 2},
)


def test_clients_that_left_and_load_that_was_shed_say_nothing() -> None:
    assert judged(CELL) == 8


def test_failures_are_lost_requests_and_the_statuses_that_are_named() -> None:
    assert failures(CELL, ErrorSpec()) == 3
    assert failures(CELL, ErrorSpec(statuses=((500, 599), (429, 429)))) == 5
    assert failures(CELL, ErrorSpec(statuses=())) == 1
    assert matching_statuses(CELL.replies, ((400, 499),)) == 3


def test_those_to_whom_it_happened_are_at_risk_no_more() -> None:
    risk = UsersAtRisk()
    assert risk.first_failures([3, 50], [1, 0]) == Block(3, 1, 50, 0)
    assert risk.first_failures([0, 10], [0, 2]) == Block(2, 0, 60, 2)
    assert risk.first_failures([0, 0], [1, 0]) == Block(2, 1, 58, 0)


def test_a_tally_is_a_block() -> None:
    tally = BlockCounts(ended=[3, 4])
    assert tally.block([1, 2]) == Block(3, 1, 4, 2)
    tally.values("cart")[0].append(2.0)
    assert tally.events == {"cart": ([2.0], [])}
    assert [side_of(name) for name in ("canary", "stable")] == [0, 1]


def test_what_was_exposed_is_held_against_stables_rate_of_the_same_time() -> None:
    exposed = ExposureCounter()
    exposed.look(BlockCounts(ended=[10, 100], failed=[5, 10]))
    exposed.look(BlockCounts(ended=[10, 100], failed=[1, 50]))
    exposed.look(BlockCounts(ended=[10, 0], failed=[1, 0]))
    assert exposed.now(BlockCounts()) == Exposure(30, 7, 7 - 1 - 5)
    assert exposed.now(BlockCounts(ended=[1, 1], failed=[1, 0])).failed == 8
    assert exposed.failed == 7
