"""Verdicts and comparisons by evidence, and the report as plain data."""

import json

from canaryproxy.analysis.finding import (
    Exposure,
    Finding,
    JudgeReport,
    comparison_of,
    current_verdict,
    report,
    until_proven,
)


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
    assert until_proven("no worse", 20**0.5, 500, "user", 0.0).endswith(" it needs about 500 more canary users")
    assert until_proven("no worse", 1.0, 500, "user", 0.0) == ""
    assert until_proven("no worse", 25, 500, "user", 0.0) == ""


def test_a_report_tells_what_can_be_compared_and_what_it_cost() -> None:
    same = Finding("errors", "pass", "words", "no difference shown", 0.01, 0.01, 1.0, (0.8, None), "request", p=0.5)
    alone = Finding("limit:error_rate", "pass", "words")
    found = JudgeReport("pass", "fine", 1, 100, (same, alone), 9, 500, exposed=Exposure(640, 13, 12.42))
    data = report(found, 17)
    assert [(one["name"], one["comparison"], one["interval"]) for one in data["comparison"]] == [
        ("errors", "no difference shown", [0.8, None])
    ]
    assert data["exposed"] == {"requests": 640, "failed": 13, "beyond_stable": 12.42, "users": 17}
    assert json.loads(json.dumps(data)) == data
