"""Resources as checks, and when they cannot be compared."""

from canaryproxy.analysis.checks.resources import ResourceCheck
from canaryproxy.analysis.spec import ResourceSpec
from canaryproxy.analysis.usage import ReadingProblem, UsageBlock


def cpu() -> ResourceCheck:
    return ResourceCheck(ResourceSpec("cpu"), 20.0)


def test_unequal_loads_are_not_compared_and_it_says_why() -> None:
    check = cpu()
    check.block(UsageBlock(0.002, 0.001, (5.0, 95.0)))
    found = check.finding()
    assert (found.verdict, found.comparison) == ("inconclusive", None)
    assert "an endpoint of the canary serves 5 requests/s and one of stable 95" in found.sentence
    check.block(UsageBlock(0.002, 0.001, (0.0, 95.0)))
    assert check.finding().samples.canary == 0
    check.block(UsageBlock(0.0, 0.001, (50.0, 50.0)))
    assert "no use was measured" in check.finding().sentence


def test_it_needs_five_blocks_and_says_how_many_are_missing() -> None:
    check = cpu()
    for number in range(4):
        check.block(UsageBlock(0.0015 + number / 1e6, 0.001, (50.0, 50.0)))
    assert check.finding().missing == "1 more block of 5 min"
    for number in range(4):
        check.block(UsageBlock(0.0015 - number / 1e6, 0.001, (50.0, 50.0)))
    found = check.finding()
    assert (found.verdict, found.comparison, found.action) == ("fail", "worse", "hold")
    assert found.sentence.startswith("cpu: 1.5 times stable's use per request (95 % interval ")


def test_less_is_better() -> None:
    check = cpu()
    for number in range(8):
        check.block(UsageBlock(0.0008 + number / 1e7, 0.001, (50.0, 50.0)))
    assert check.finding().comparison == "better"
    assert check.harm == 1
    assert "the first block is not over yet" in cpu().finding().sentence


def test_a_source_that_does_not_answer_makes_it_unknown_and_not_a_verdict() -> None:
    check = cpu()
    for number in range(8):
        check.block(UsageBlock(0.002 + number / 1e6, 0.001, (50.0, 50.0)))
    check.block(ReadingProblem("10.0.0.1:80 cannot be read: timed out", unknown=True))
    found = check.finding()
    assert (found.verdict, found.unknown, found.sentence) == (
        "inconclusive",
        True,
        "cpu: 10.0.0.1:80 cannot be read: timed out",
    )
    check.block(UsageBlock(0.002, 0.001, (50.0, 50.0)))
    assert check.finding().verdict == "fail"
