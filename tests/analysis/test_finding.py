"""What evidence of both sides amounts to."""

import pytest

from canaryproxy.analysis.finding import comparison_of, current_verdict, until_proven


def test_a_difference_is_one_from_twenty_on_and_worse_outweighs_better() -> None:
    assert [comparison_of(*pair) for pair in ((1, 1), (25, 1), (1, 25), (25, 25))] == [
        "no difference shown",
        "worse",
        "better",
        "worse",
    ]


def test_suspicion_and_nothing_seen_are_no_pass() -> None:
    found = [current_verdict(harm, 100, seen=seen) for harm, seen in ((1, True), (1, False), (15, True), (100, False))]
    assert found == ["pass", "inconclusive", "inconclusive", "fail"]


def test_a_proof_that_is_half_there_takes_as_much_again() -> None:
    assert until_proven(20**0.5, 500) == pytest.approx(500)
    assert until_proven(1.0, 500) is None
    assert until_proven(25, 500) is None
