"""How fast places change hands."""

from canaryproxy.admin.turnover import STRETCH, STRETCHES, Turnover

PLACES = 10 * STRETCHES


def test_it_is_whole_as_soon_as_places_change_hands_so_fast_that_all_do_in_a_brief_time() -> None:
    churn = Turnover(PLACES)
    for _ in range(9):
        churn.add(100.0)
        assert not churn.whole(100.0)
    churn.add(100.0)
    assert churn.whole(100.0)
    assert churn.whole(100.0 + 1.1 * STRETCH)
    assert not churn.whole(100.0 + 2.2 * STRETCH)


def test_one_less_is_not_whole() -> None:
    churn = Turnover(PLACES)
    churn.add(100.0, 9)
    assert not churn.whole(100.0 + 1.1 * STRETCH)


def test_what_came_long_ago_does_not_count() -> None:
    churn = Turnover(PLACES)
    churn.add(100.0, 10 * PLACES)
    assert not churn.whole(100.0 + 2.2 * STRETCH)


def test_it_stays_whole_as_long_as_so_many_come() -> None:
    churn = Turnover(PLACES)
    for number in range(100):
        churn.add(100.0 + STRETCH * number / 10)
        assert (number >= 9) == churn.whole(100.0 + STRETCH * number / 10)
