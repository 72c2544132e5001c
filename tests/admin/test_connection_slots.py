"""Who stays and who gives way, with no sockets."""

from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.admin.connection_slots import STRETCH_SECONDS, STRETCHES, ControlSlots, Turnover

MOST, BUSY, SHARE, BUSY_SHARE = 6, 4, 4, 2


def places() -> ControlSlots[str]:
    return ControlSlots(MOST, BUSY, SHARE, BUSY_SHARE)


def filled(*addresses: str) -> ControlSlots[str]:
    """One connection after the other, named by its address and its number."""
    made = places()
    for number, address in enumerate(addresses):
        assert made.take(f"{address}{number}", address, float(number)) is None
    return made


def test_the_longest_idle_of_the_address_that_has_the_most_gives_way() -> None:
    made = filled("a", "b", "b", "b", "a", "c")
    assert made.take("new", "d", 9.0) == "b1"
    assert len(made) == MOST


def test_where_all_have_one_the_longest_idle_gives_way() -> None:
    made = filled("a", "b", "c", "d", "e", "f")
    assert made.take("g6", "g", 9.0) == "a0"
    assert made.take("h7", "h", 9.0) == "b1"


def test_an_address_with_its_share_displaces_its_own() -> None:
    made = filled("a", "a", "a", "a", "b")
    assert made.take("new", "a", 9.0) == "a0"
    assert len(made) == 5


def test_an_address_whose_share_is_busy_gets_no_more() -> None:
    made = ControlSlots[str](8, 8, 2, 8)
    for name in ("a0", "a1"):
        assert made.take(name, "a", 0.0) is None
        assert made.begin(name) is None
    assert made.take("a2", "a", 1.0) == "a2"
    assert len(made) == 2
    assert made.take("b0", "b", 1.0) is None


def test_busy_ones_never_take_all_places_so_a_newcomer_finds_one() -> None:
    made = filled("a", "b", "c", "d", "e", "f")
    assert [made.begin(name) for name in ("a0", "b1", "c2", "d3")] == [None] * 4
    assert made.begin("e4") == "e4"
    assert made.take("new", "g", 9.0) == "e4"


def test_an_address_begins_its_share_of_requests() -> None:
    made = filled("a", "a", "a")
    assert [made.begin(name) for name in ("a0", "a1", "a2")] == [None, None, "a2"]
    made.end("a0", 9.0)
    assert made.begin("a2") is None


def test_a_client_that_takes_nothing_gives_way_to_the_next_request() -> None:
    made = filled("a", "b", "c", "d", "e")
    for name in ("a0", "b1", "c2", "d3"):
        made.begin(name)
    made.stall("c2", 5.0)
    made.stall("b1", 6.0)
    made.stall("c2", 7.0)
    made.flow("c2", 8.0)
    made.stall("c2", 9.0)
    assert made.begin("e4") == "b1"
    assert len(made) == 4


def test_of_one_address_its_own_stalled_request_gives_way() -> None:
    made = filled("a", "a", "a", "b")
    for name in ("a0", "a1", "b3"):
        made.begin(name)
    made.stall("b3", 1.0)
    made.stall("a1", 2.0)
    assert made.begin("a2") == "a1"


def test_time_counts_from_the_connect_and_again_from_the_answer() -> None:
    made = filled("a", "b", "c")
    made.begin("a0")
    made.end("a0", 5.0)
    assert made.idle_since(2.0) == ["b1", "c2"]
    assert made.idle_since(4.0) == []
    made.stall("a0", 6.0)
    made.flow("a0", 7.0)
    assert made.idle_since(6.0) == []
    assert made.idle_since(7.0) == ["a0"]
    assert len(made) == 0


def test_those_that_take_nothing_are_found_by_when_it_began() -> None:
    made = filled("a", "b")
    made.begin("a0")
    made.begin("b1")
    made.stall("a0", 1.0)
    made.stall("b1", 3.0)
    assert made.stalled_since(2.0) == ["a0"]
    made.release("a0")
    assert made.stalled_since(2.0) == []
    assert made.stalled_since(3.0) == ["b1"]


def test_the_longest_idle_give_their_descriptors() -> None:
    made = filled("a", "b", "c")
    made.begin("a0")
    assert made.free_slots(2) == ["b1", "c2"]
    assert made.free_slots(2) == []


def test_what_is_gone_already_changes_nothing() -> None:
    made = filled("a")
    made.release("a0")
    made.release("a0")
    made.end("a0", 1.0)
    made.stall("a0", 1.0)
    made.flow("a0", 1.0)
    assert made.begin("a0") is None
    assert len(made) == 0


WORKS = st.lists(
    st.tuples(st.sampled_from(("enter", "begin", "end", "stall", "flow", "leave", "late")), st.integers(0, 30)),
    max_size=120,
)


@given(WORKS)
def test_no_order_of_events_breaks_a_bound_or_keeps_a_newcomer_out(works: list[tuple[str, int]]) -> None:
    made = places()
    address: dict[str, str] = {}
    busy: set[str] = set()

    def gone(name: str | None) -> None:
        if name is not None:
            address.pop(name, None)
            busy.discard(name)

    for now, (work, number) in enumerate(works):
        name = f"{number % 4}/{now}"
        known = list(address)
        if work == "enter":
            victim = made.take(name, name[0], float(now))
            mine = [one for one, of in address.items() if of == name[0]]
            assert (victim == name) is (len(mine) >= SHARE and all(one in busy for one in mine))
            if victim != name:
                gone(victim)
                address[name] = name[0]
        elif work == "late":
            for one in made.idle_since(now - 20.0):
                assert one not in busy
                gone(one)
        elif known:
            one = known[number % len(known)]
            if work == "begin":
                victim = made.begin(one)
                if victim != one:
                    gone(victim)
                    busy.add(one)
            elif work == "end" and one in busy:
                made.end(one, float(now))
                busy.discard(one)
            elif work == "leave":
                made.release(one)
                gone(one)
            elif work in ("stall", "flow"):
                getattr(made, work)(one, float(now))
        assert len(made) == len(address) <= MOST
        assert len(busy) <= BUSY
        for of in set(address.values()):
            mine = [one for one in address if address[one] == of]
            assert len(mine) <= SHARE
            assert len(busy & set(mine)) <= BUSY_SHARE


def test_an_address_crowds_with_its_equal_part_of_all_places_as_with_the_most_of_them() -> None:
    """A flood from many addresses is refused as cheaply as one from a single address."""
    made = filled("a", "a", "b", "b", "c")
    assert not made.exceeds_share("a")  # there is room
    made.take("d5", "d", 5.0)
    assert [made.exceeds_share(address) for address in "abcde"] == [True, True, False, False, False]
    bigger = filled("a", "a", "a", "b", "b", "c")
    assert [bigger.exceeds_share(address) for address in "abcd"] == [True, True, False, False]
    shared = filled("a", "a", "a", "a")
    assert shared.exceeds_share("a")


PLACES = 10 * STRETCHES


def test_it_is_whole_as_soon_as_places_change_hands_so_fast_that_all_do_in_a_brief_time() -> None:
    churn = Turnover(PLACES)
    for _ in range(9):
        churn.add(100.0)
        assert not churn.whole(100.0)
    churn.add(100.0)
    assert churn.whole(100.0)
    assert churn.whole(100.0 + 1.1 * STRETCH_SECONDS)
    assert not churn.whole(100.0 + 2.2 * STRETCH_SECONDS)


def test_one_less_is_not_whole() -> None:
    churn = Turnover(PLACES)
    churn.add(100.0, 9)
    assert not churn.whole(100.0 + 1.1 * STRETCH_SECONDS)


def test_what_came_long_ago_does_not_count() -> None:
    churn = Turnover(PLACES)
    churn.add(100.0, 10 * PLACES)
    assert not churn.whole(100.0 + 2.2 * STRETCH_SECONDS)


def test_it_stays_whole_as_long_as_so_many_come() -> None:
    churn = Turnover(PLACES)
    for number in range(100):
        churn.add(100.0 + STRETCH_SECONDS * number / 10)
        assert (number >= 9) == churn.whole(100.0 + STRETCH_SECONDS * number / 10)
