"""Who gives way where all places are taken. Pure; the attacks are in test_admission.py."""

from hypothesis import given, settings
from hypothesis import strategies as st

from canaryproxy.dataplane.eviction import BUSY, FEW, GRACE_SECONDS, ConnectionSlot, ConnectionSlots


class Client:
    """A holder as a test sets it."""

    def __init__(self, since: float = 0.0, *, owes: bool = False) -> None:
        self.since = since
        self.owes = owes
        self.gone = False

    def __repr__(self) -> str:
        return f"<Client idle since {self.since}>"

    def idle_since(self) -> float:
        return self.since

    def owing(self) -> bool:
        return self.owes

    def evict(self) -> None:
        self.gone = True


def seated(places: ConnectionSlots, *clients: Client, address: str = "a") -> list[ConnectionSlot]:
    return [places.take(client, address) for client in clients]


def chosen(places: ConnectionSlots, now: float = 100.0) -> object:
    place = places.choose(now)
    return None if place is None else place.owner


def test_the_one_that_is_idle_for_longest_gives_way_as_it_is_now_and_not_as_it_came() -> None:
    places, one, other = ConnectionSlots(10), Client(1), Client(2)
    seated(places, one, other)
    assert chosen(places) is one
    one.since = 3
    assert chosen(places) is other


def test_who_has_an_exchange_under_way_never_does_until_it_is_idle_again() -> None:
    places, one, other = ConnectionSlots(10), Client(BUSY), Client(2)
    place, _ = seated(places, one, other)
    other.since = BUSY
    assert chosen(places) is None
    one.since = 50
    assert chosen(places) is None
    places.idle(place)
    places.idle(place)
    assert chosen(places) is one
    assert places.count == 2


def test_one_that_owes_us_a_head_goes_first_after_a_grace() -> None:
    places, kept, newcomer = ConnectionSlots(10), Client(1), Client(99.5, owes=True)
    seated(places, kept, newcomer, Client(98))
    assert chosen(places, 100) is kept
    assert chosen(places, 99.5 + GRACE_SECONDS) is newcomer


def test_a_flood_of_silent_connections_displaces_itself() -> None:
    places, kept = ConnectionSlots(10), Client(1)
    flood = [Client(99 + number / 100, owes=True) for number in range(3)]
    seated(places, kept, Client(2), *flood)
    assert chosen(places, 99.1) is flood[0]


def test_the_address_with_the_most_connections_gives_one_of_its_own() -> None:
    places = ConnectionSlots(10)
    old = Client(1)
    seated(places, old, address="honest")
    many = [Client(50 + number) for number in range(FEW + 1)]
    more = [Client(60 + number) for number in range(FEW + 3)]
    seated(places, *many, address="many")
    taken = seated(places, *more, address="more")
    assert chosen(places) is more[0]
    for place in taken[:4]:
        places.release(place)
    assert chosen(places) is many[0]
    for client in many:
        client.since = BUSY
    assert chosen(places) is more[4]


def test_one_that_is_idle_for_a_moment_only_does_not_give_way() -> None:
    places, kept, owing = ConnectionSlots(10, 0.5), Client(10), Client(10.1, owes=True)
    seated(places, kept, owing)
    assert chosen(places, 10.4) is None
    assert chosen(places, 10.5) is kept
    kept.since = BUSY
    assert chosen(places, 10.5) is None
    assert chosen(places, 10.6) is owing


def test_places_that_carry_many_clients_are_not_added_up() -> None:
    places, old = ConnectionSlots(10), Client(1)
    for number in range(2 * FEW):
        places.take(Client(10 + number), "balancer", shared=True)
    seated(places, old, address="b")
    assert places.count_of("balancer") == 0
    assert chosen(places) is old


def test_what_has_left_takes_no_room() -> None:
    places = ConnectionSlots(10)
    for number in range(1_000):
        (place,) = seated(places, Client(number))
        places.release(place)
        places.release(place)
    assert places.count == 0
    assert chosen(places) is None
    assert places.count_of("a") == 0
    assert len(places._common.idle._heap) < 100


Step = tuple[str, int, float]
STEPS = st.lists(
    st.tuples(st.sampled_from(["come", "go", "ask", "answer", "owe", "evict"]), st.integers(0, 30), st.floats(0, 2)),
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_whatever_happens_the_choice_is_that_of_one_who_looks_at_everybody(steps: list[Step]) -> None:
    places, here, now = ConnectionSlots(12), dict[ConnectionSlot, tuple[str, Client]](), 0.0
    for what, number, passed in steps:
        now += passed
        some = list(here)[number % len(here)] if here else None
        if what == "come":
            client, address = Client(now, owes=True), "abcdef"[min(number, 5)]
            here[places.take(client, address)] = (address, client)
        elif some is not None and what == "go":
            places.release(some)
            del here[some]
        elif some is not None and what == "ask":
            here[some][1].since = BUSY
        elif some is not None and what in {"answer", "owe"}:
            here[some][1].since, here[some][1].owes = now, what == "owe"
            places.idle(some)
        elif what == "evict":
            place = places.choose(now)
            idle = [one for one in here if here[one][1].since != BUSY]
            assert (place is None) == (not idle)
            if place is not None:
                crowd = among(places, here, idle)
                assert place in crowd
                assert here[place][1] in best(places, [here[one][1] for one in crowd], now)
                places.release(place)
                del here[place]
        assert places.count == len(here)
        for address in "abcdef":
            assert places.count_of(address) == sum(address == other for other, _ in here.values())


def among(
    places: ConnectionSlots, here: dict[ConnectionSlot, tuple[str, Client]], idle: list[ConnectionSlot]
) -> list[ConnectionSlot]:
    """The idle ones of the largest address that counts as large, or of all others."""
    large = {group.key: group.count for group in places._big if any(here[one][0] == group.key for one in idle)}
    if not large:
        return [one for one in idle if here[one][0] not in large]
    most = max(large.values())
    return [one for one in idle if large.get(here[one][0]) == most]


def best(places: ConnectionSlots, crowd: list[Client], now: float) -> list[Client]:
    """Who may give way: of those that owe, or of the others, the longest idle."""
    queues = [[one for one in crowd if one.owes is owes] for owes in (True, False)]
    firsts = [[one for one in queue if one.since == min(other.since for other in queue)] for queue in queues]
    owing, kept = firsts
    if not owing or not kept:
        return owing or kept
    if now - owing[0].since >= GRACE_SECONDS:
        return owing
    return owing + kept
