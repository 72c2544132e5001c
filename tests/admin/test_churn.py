"""How fast places change hands."""

from canaryproxy.admin.churn import BRIEF, Churn


def test_it_is_whole_where_as_many_came_in_a_brief_time_as_there_are_places() -> None:
    churn = Churn(10)
    for number in range(10):
        churn.add(100.0 + BRIEF * number / 20)
        assert not churn.whole(100.0 + BRIEF * number / 20)
    assert churn.whole(100.0 + 1.1 * BRIEF)
    assert not churn.whole(100.0 + 2.2 * BRIEF)


def test_one_less_is_not_whole() -> None:
    churn = Churn(10)
    for _ in range(9):
        churn.add(100.0)
    assert not churn.whole(100.0 + 1.1 * BRIEF)


def test_what_came_long_ago_does_not_count() -> None:
    churn = Churn(10)
    for _ in range(100):
        churn.add(100.0)
    assert not churn.whole(100.0 + 2.2 * BRIEF)


def test_it_stays_whole_as_long_as_so_many_come() -> None:
    churn = Churn(10)
    for number in range(100):
        churn.add(100.0 + BRIEF * number / 20)
        assert number < 21 or churn.whole(100.0 + BRIEF * number / 20)
