"""The share that was given beside the one that was asked for."""

from canaryproxy.analysis.checks.sample_ratio import SampleRatioCheck


def test_it_warns_and_never_fails() -> None:
    check = SampleRatioCheck("user")
    assert check.finding().verdict == "inconclusive"
    check.draw(0, 0, 500)
    check.draw(50, 950, 500)
    assert check.finding().sentence == "50 of 1,000 users went to the canary, 50 expected"
    check.draw(200, 800, 500)
    found = check.finding()
    assert check.alarmed
    assert (found.verdict, found.action) == ("inconclusive", "hold")
    assert found.sentence.endswith("the split is not what was asked for, so the versions' users differ")
