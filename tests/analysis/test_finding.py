"""What evidence of both sides amounts to."""

from canaryproxy.analysis.finding import compared


def test_a_difference_is_one_from_twenty_on_and_worse_outweighs_better() -> None:
    assert [compared(*pair) for pair in ((1, 1), (25, 1), (1, 25), (25, 25))] == [
        "no difference shown", "worse", "better", "worse",
    ]  # fmt: skip
