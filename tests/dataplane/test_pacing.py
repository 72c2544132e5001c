"""Every clock in every state of an exchange: does it run, whom does it blame, what does the client get. H47 H48 H66
H72.

The table of docs/life-of-a-request.md, cell by cell: a state is brought about, one clock has a second and all others
have a day. What is not in `STATES[...].ends` is a clock that does not run there: nothing may happen.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from canaryproxy.dataplane.exchange import expects
from canaryproxy.model.head import RequestHead
from canaryproxy.model.table import Shield
from tests.support.stand import STABLE, Stand, stand

CLOCKS = (
    "header",
    "keep_alive",
    "body_idle",
    "half_close",
    "connect",
    "response",
    "pool",
    "tunnel_idle",
    "shield",
    "abort_drain",
    "drain",
)

GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\npart"
EVENTS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
EXPECT = b"Expect: 100-continue\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UPGRADE = b"Connection: upgrade\r\nUpgrade: websocket\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + b"\r\n"


def head(method: bytes = b"POST", length: int = 6, fields: bytes = b"") -> bytes:
    return method + b" / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n%b\r\n" % (length, fields)


class End(NamedTuple):
    """What a clock does: how the client's bytes begin (`cut`: there are none, and its connection ends), what the canary
    is charged with, whether its endpoint is blamed.
    """

    answer: bytes | str
    outcome: str
    blamed: bool = False


NO_BODY = End(b"HTTP/1.1 408 ", "client_abort")
GONE = End("cut", "client_abort")
NO_CONNECTION = End(b"HTTP/1.1 503 ", "timeout", True)
NO_ANSWER = End(b"HTTP/1.1 504 ", "timeout", True)
BROKEN_OFF = End("cut", "timeout", True)
OURS = End(b"HTTP/1.1 503 ", "overflow")
CUT = End("cut", "overflow")
STABLE_ANSWERS = End("stable", "overflow")
STABLE_SHIELDS = End("stable", "timeout", True)


# The states.


def connection_opens(s: Stand) -> None:
    s.say(GET)


def connection_opens_and_the_client_sends(s: Stand) -> None:
    s.say(head() + b"ab")


def connection_opens_and_no_more_is_kept(s: Stand) -> None:
    s.say(head(length=300_000) + b"x" * 140_000)
    assert not s.client.reading


def client_sends(s: Stand) -> None:
    connection_opens_and_the_client_sends(s)
    s.open()


def client_sends_slowly(s: Stand) -> None:
    """Six bytes in two and a half seconds: what was a 504."""
    client_sends(s)
    if "body_idle" not in s.clocks:
        for _ in range(3):
            s.wait(0.8)
            s.say(b"x")


def client_sends_what_may_be_repeated(s: Stand) -> None:
    s.say(head(b"PUT") + b"ab")
    s.open()


def endpoint_takes_nothing(s: Stand) -> None:
    s.say(head(length=600_000) + b"x" * 1000)
    s.open().stick()
    assert not s.client.reading


def client_does_not_read_and_so_the_endpoint_takes_nothing(s: Stand) -> None:
    """An echo whose client does not read: the endpoint can go on only when the client does."""
    s.say(head(length=600_000) + b"x" * 1000)
    wire = s.open()
    s.hear(wire, PART)
    s.client.stick()
    wire.stick()


def endpoint_takes_nothing_while_the_client_does_not_read(s: Stand) -> None:
    s.say(head(length=600_000) + b"x" * 1000)
    wire = s.open()
    s.hear(wire, PART)
    wire.stick()
    s.client.stick()


def waits_for_a_100(s: Stand) -> None:
    s.say(head(fields=EXPECT))
    s.open()


def got_its_100(s: Stand) -> None:
    waits_for_a_100(s)
    s.hear(s.wires[-1], CONTINUE)


def did_not_wait_for_its_100(s: Stand) -> None:
    waits_for_a_100(s)
    s.say(b"ab")


def got_its_answer_in_place_of_a_100(s: Stand) -> None:
    waits_for_a_100(s)
    s.hear(s.wires[-1], PART)


def expects_a_100_in_http_1_0(s: Stand) -> None:
    s.say(b"POST / HTTP/1.0\r\nHost: s\r\nContent-Length: 6\r\n" + EXPECT + b"\r\n")
    s.open()


def answer_awaited(s: Stand) -> None:
    s.say(GET)
    s.open()


def answer_to_a_body_awaited(s: Stand) -> None:
    client_sends(s)
    s.say(b"cdef")


def answer_to_a_repeatable_body_awaited(s: Stand) -> None:
    s.say(head(b"GET") + b"ab")
    s.open()
    if "body_idle" not in s.clocks:
        s.wait(5)
    s.say(b"cdef")


def answer_awaited_after_a_hint(s: Stand) -> None:
    answer_awaited(s)
    s.hear(s.wires[-1], b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")


def all_is_said_and_not_taken(s: Stand) -> None:
    s.say(head(length=1000) + b"x" * 1000)
    s.open().stick()


def all_was_taken_late(s: Stand) -> None:
    s.say(head(length=1000) + b"x" * 1000)
    wire = s.open()
    wire.stick()
    if "response" in s.clocks:
        s.wait(0.9)
    wire.go_on()


def amid_an_answer(s: Stand) -> None:
    answer_awaited(s)
    s.hear(s.wires[-1], PART)


def amid_an_event_stream(s: Stand) -> None:
    answer_awaited(s)
    s.hear(s.wires[-1], EVENTS)


def client_does_not_read(s: Stand) -> None:
    amid_an_answer(s)
    s.client.stick()


def client_ends_its_upload_and_does_not_read(s: Stand) -> None:
    client_sends(s)
    s.hear(s.wires[-1], PART)
    s.client.stick()
    s.say(b"cdef")


def client_does_not_read_what_is_complete(s: Stand) -> None:
    answer_awaited(s)
    s.hear(s.wires[-1], OK)
    s.client.stick()


def refused_early(s: Stand) -> None:
    client_sends(s)
    s.hear(s.wires[-1], PART.replace(b"200 OK", b"413 No"))


def answered_early(s: Stand) -> None:
    client_sends(s)
    s.hear(s.wires[-1], PART)


def answer_awaited_after_a_fin(s: Stand) -> None:
    answer_awaited(s)
    s.fin()


def client_said_fin_and_does_not_read(s: Stand) -> None:
    client_does_not_read(s)
    s.fin()


def second_attempt_opens(s: Stand) -> None:
    s.say(GET)
    wire = s.open()
    s.hear(wire, OK)
    s.say(GET)
    wire.abort()
    s.loop.turn()


def second_attempt_awaited(s: Stand) -> None:
    second_attempt_opens(s)
    s.open()


def second_attempt_while_the_client_sends(s: Stand) -> None:
    s.say(GET)
    wire = s.open()
    s.hear(wire, OK)
    s.say(head(b"PUT") + b"ab")
    wire.abort()
    s.loop.turn()
    s.open()


def stable_answers_instead(s: Stand) -> None:
    s.publish(fallback=frozenset(("canary",)))
    s.say(GET)
    s.refuse()
    s.open(STABLE)


def stable_opens_instead(s: Stand) -> None:
    s.publish(fallback=frozenset(("canary",)))
    s.say(GET)
    s.refuse()


def tunnel(s: Stand) -> None:
    s.say(GET[:-2] + UPGRADE + b"\r\n")
    s.hear(s.open(), SWITCH)


def tunnel_of_which_a_side_does_not_read(s: Stand) -> None:
    tunnel(s)
    s.client.stick()


def handshake_awaited(s: Stand) -> None:
    s.say(GET[:-2] + UPGRADE + b"\r\n")
    s.open()


def nothing_is_said_yet(_: Stand) -> None:
    """A new connection."""


def amid_a_head(s: Stand) -> None:
    s.say(GET[:20])


def between_requests(s: Stand) -> None:
    s.say(GET)
    s.hear(s.open(), OK)


def takes_back(end: End | None = OURS) -> dict[str, End]:
    return {} if end is None else {"abort_drain": end, "drain": end}


Ends = dict[str, End]
OPENS: Ends = {"connect": NO_CONNECTION, "shield": STABLE_SHIELDS, **takes_back(STABLE_ANSWERS)}
ANSWERS: Ends = {"response": NO_ANSWER, "shield": STABLE_SHIELDS, **takes_back(STABLE_ANSWERS)}
STREAMS: Ends = {"response": BROKEN_OFF, **takes_back(CUT)}

STATES: dict[Callable[[Stand], None], Ends] = {
    nothing_is_said_yet: {"header": End(b"", "")},
    amid_a_head: {"header": End(b"HTTP/1.1 408 ", "")},
    between_requests: {"keep_alive": End(b"", ""), "pool": End("upstream", "")},
    connection_opens: OPENS,
    connection_opens_and_the_client_sends: OPENS | {"body_idle": NO_BODY},
    connection_opens_and_no_more_is_kept: OPENS,
    client_sends: {"body_idle": NO_BODY, **takes_back()},
    client_sends_slowly: {"body_idle": NO_BODY, **takes_back()},
    client_sends_what_may_be_repeated: {"body_idle": NO_BODY, **takes_back(STABLE_ANSWERS)},
    endpoint_takes_nothing: {"response": NO_ANSWER, **takes_back()},
    client_does_not_read_and_so_the_endpoint_takes_nothing: {"body_idle": GONE, **takes_back(CUT)},
    endpoint_takes_nothing_while_the_client_does_not_read: {"body_idle": GONE, **takes_back(CUT)},
    waits_for_a_100: {"response": NO_ANSWER, **takes_back()},
    got_its_100: {"body_idle": NO_BODY, **takes_back()},
    did_not_wait_for_its_100: {"body_idle": NO_BODY, **takes_back()},
    got_its_answer_in_place_of_a_100: STREAMS,
    expects_a_100_in_http_1_0: {"body_idle": NO_BODY, **takes_back()},
    answer_awaited: ANSWERS,
    answer_to_a_body_awaited: {"response": NO_ANSWER, **takes_back()},
    answer_to_a_repeatable_body_awaited: ANSWERS,
    answer_awaited_after_a_hint: {"response": NO_ANSWER, **takes_back()},
    all_is_said_and_not_taken: {"response": NO_ANSWER, **takes_back()},
    all_was_taken_late: {"response": NO_ANSWER, **takes_back()},
    amid_an_answer: STREAMS,
    amid_an_event_stream: STREAMS,
    client_does_not_read: {"body_idle": GONE, **takes_back(CUT)},
    client_ends_its_upload_and_does_not_read: {"body_idle": GONE, **takes_back(CUT)},
    client_does_not_read_what_is_complete: {"body_idle": End("cut", ""), "pool": End("upstream", "")},
    refused_early: STREAMS,
    answered_early: {"body_idle": GONE, **takes_back(CUT)},
    answer_awaited_after_a_fin: ANSWERS | {"half_close": GONE},
    client_said_fin_and_does_not_read: {"body_idle": GONE, **takes_back(CUT)},
    second_attempt_opens: OPENS,
    second_attempt_awaited: ANSWERS,
    second_attempt_while_the_client_sends: {"body_idle": NO_BODY, **takes_back(STABLE_ANSWERS)},
    stable_opens_instead: {
        "connect": End(b"HTTP/1.1 504 ", "unavailable"),
        "drain": OURS._replace(outcome="unavailable"),
    },
    stable_answers_instead: {
        "response": End(b"HTTP/1.1 504 ", "unavailable"),
        "drain": OURS._replace(outcome="unavailable"),
    },
    handshake_awaited: ANSWERS,
    tunnel: {"tunnel_idle": End("cut", ""), **takes_back(End("cut", ""))},
    tunnel_of_which_a_side_does_not_read: {"tunnel_idle": End("cut", ""), **takes_back(End("cut", ""))},
}

IDLE = (nothing_is_said_yet, amid_a_head, between_requests, client_does_not_read_what_is_complete)
"""Connections without an exchange: what a drain does with them is the business of test_plane.py."""

NOT_BEHIND_A_SHIELD = (stable_opens_instead, stable_answers_instead)
"""States that a shield leads away from."""

CELLS = [
    (state, clock)
    for state in STATES
    for clock in CLOCKS
    if not (state in IDLE and clock == "drain") and not (state in NOT_BEHIND_A_SHIELD and clock == "shield")
]


def words(clock: str, end: End) -> str:
    """What a clock does, as the documentation says it."""
    if isinstance(end.answer, bytes):
        answer = end.answer.split()[1].decode() if end.answer else "closed"
    else:
        answer = {"stable": "stable answers", "cut": "cut", "upstream": "closed"}[end.answer]
    return ", ".join(
        [f"`{clock}`: {answer}", *([end.outcome] if end.outcome else []), *(["blamed"] if end.blamed else [])]
    )


CLIENTS, VERSIONS = ("header", "keep_alive", "body_idle", "half_close"), ("connect", "response", "pool", "tunnel_idle")


def row(state: Callable[[Stand], None]) -> str:
    """A line of the table in the documentation."""
    ends = STATES[state]

    def cell(clocks: tuple[str, ...]) -> str:
        return "; ".join(words(clock, ends[clock]) for clock in clocks if clock in ends)

    ours = cell(("abort_drain", "drain"))
    if ends.get("abort_drain") == ends.get("drain") and ours:
        ours = words("x", ends["drain"]).partition(": ")[2]
    cells = (state.__name__.replace("_", " "), cell(CLIENTS), cell(VERSIONS), cell(("shield",)), ours)
    return f"| {' | '.join(cells)} |".replace("  ", " ")


def test_the_table_in_the_documentation_is_this_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "life-of-a-request.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| ")][-len(STATES) :] == [row(one) for one in STATES]


class Seen(NamedTuple):
    """Everything that may change."""

    written: bytes
    ended: bool
    outcomes: dict[Any, int]
    failures: int
    dialled: int
    upstreams: int


def look(s: Stand) -> Seen:
    s.count()
    ended = s.client.closing or s.client.eof
    upstreams = sum(not wire.closing for wire in s.wires[1:])
    return Seen(s.client.written, ended, dict(s.outcomes), s.failures(), len(s.dialler.dialled), upstreams)


def start(s: Stand, clock: str) -> None:
    """Clocks that begin with a decision of ours."""
    if clock == "abort_drain":
        s.publish(aborted=True)
    elif clock == "drain":
        s.draining = s.loop.create_task(s.plane.drain())


@pytest.mark.parametrize(("state", "clock"), CELLS, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_each_clock_runs_in_its_states_and_in_no_other(state: Callable[[Stand], None], clock: str) -> None:
    """H47 H48 H66 H72."""
    end = STATES[state].get(clock)
    shield = {"shield": Shield(1.0, 10_000)} if clock == "shield" else {}
    with stand({clock: 1.0}, **shield) as s:
        state(s)
        start(s, clock)
        before = look(s)
        s.wait(0.1 if clock == "drain" else 0.85)
        assert look(s) == before
        s.wait(6.0 if end is None else 1.8 if clock == "drain" else 0.95)
        if end is None:
            assert look(s) == before
        else:
            check(s, before, end)


def check(s: Stand, before: Seen, end: End) -> None:
    after = look(s)
    if end.answer == "stable":
        assert after.dialled == before.dialled + 1
        if s.draining is None:
            s.hear(s.open(STABLE), OK)
            after = look(s)
            assert after.written[len(before.written) :].startswith(b"HTTP/1.1 200 OK\r\n")
    elif end.answer == "upstream":
        assert (after.upstreams, after.ended) == (before.upstreams - 1, False)
    elif end.answer == "cut":
        assert after.ended
        assert b"HTTP/1.1 " not in after.written[len(before.written) :]
    elif isinstance(end.answer, bytes) and end.answer:
        assert after.written[len(before.written) :].startswith(end.answer)
    else:
        assert (after.written, after.ended) == (before.written, True)
    fresh = {key: count - before.outcomes.get(key, 0) for key, count in after.outcomes.items()}
    expected = {("canary", end.outcome): 1} if end.outcome else {}
    assert {key: count for key, count in fresh.items() if count} == expected
    assert after.failures - before.failures == end.blamed


# What moves a clock on.


def test_an_endpoint_that_takes_a_little_has_more_time() -> None:
    """H48."""
    with stand({"response": 1.0}) as s:
        endpoint_takes_nothing(s)
        wire = s.wires[-1]
        for _ in range(10):
            s.wait(0.9)
            wire.queued -= 1000
        assert not s.client.written
        s.wait(4.0)
        assert s.client.written.startswith(b"HTTP/1.1 504 ")


def test_the_time_for_an_answer_begins_when_the_endpoint_has_taken_the_request() -> None:
    """H48."""
    with stand({"response": 1.0}) as s:
        all_is_said_and_not_taken(s)
        s.wait(0.9)
        s.wires[-1].go_on()
        s.wait(0.9)
        assert not s.client.written
        s.hear(s.wires[-1], OK)
        assert s.client.written.endswith(b"ok")


def test_a_client_that_takes_a_little_has_more_time() -> None:
    """H47."""
    with stand({"body_idle": 1.0}) as s:
        client_does_not_read(s)
        for _ in range(10):
            s.wait(0.9)
            s.client.queued -= 1000
        assert not s.client.closing
        s.wait(4.0)
        assert s.client.lost


def test_what_a_client_sends_does_not_make_up_for_what_it_does_not_read() -> None:
    """H47."""
    with stand({"body_idle": 1.0}) as s:
        s.say(head(length=600_000) + b"x")
        s.hear(s.open(), PART)
        s.client.stick()
        for _ in range(4):
            s.wait(0.4)
            s.say(b"x") if not s.client.lost else None
        assert s.client.lost


def test_each_byte_of_an_answer_gives_the_next_one_its_time() -> None:
    """H48."""
    with stand({"response": 1.0}) as s:
        amid_an_event_stream(s)
        for _ in range(10):
            s.wait(0.9)
            s.hear(s.wires[-1], b"3\r\ntwo\r\n")
        s.hear(s.wires[-1], b"0\r\n\r\n")
        s.count()
        assert s.outcomes == {("canary", "success"): 1}


def test_a_client_that_reads_again_gives_the_version_its_whole_time() -> None:
    """H34 H48."""
    with stand({"response": 1.0}) as s:
        client_does_not_read(s)
        s.wait(50)
        s.client.go_on()
        s.wait(0.9)
        assert not s.client.closing
        s.wait(1.0)
        assert (s.client.closing, s.failures()) == (True, 1)


def test_a_client_that_reads_again_while_it_uploads_owes_its_body() -> None:
    """H47."""
    with stand({"body_idle": 1.0}) as s:
        answered_early(s)
        s.client.stick()
        s.wait(0.8)
        s.client.go_on()
        s.wait(0.9)
        assert not s.client.closing
        s.wait(1.0)
        assert s.client.closing


def test_the_shields_time_begins_when_the_client_has_said_all() -> None:
    """H72."""
    with stand({}, shield=Shield(1.0, 10_000)) as s:
        s.say(head(b"GET") + b"ab")
        s.open()
        s.wait(0.9)
        s.say(b"cdef")
        s.wait(0.9)
        assert len(s.dialler.dialled) == 1
        s.hear(s.wires[-1], OK)
        s.count()
        assert (s.outcomes, s.rescues) == ({("canary", "success"): 1}, {})


def test_a_body_that_is_slow_from_its_first_byte_costs_the_version_nothing() -> None:
    """H48. Six bytes in 2.6 seconds, with a connection that took its time, too."""
    with stand({"connect": 1.0, "response": 1.0, "body_idle": 1.0}) as s:
        s.say(head())
        s.wait(0.5)
        wire = s.open()
        for letter in b"abcdef":
            s.wait(0.5)
            s.say(bytes((letter,)))
        s.hear(wire, OK)
        assert wire.written.endswith(b"abcdef")
        assert s.client.written.endswith(b"ok")
        s.count()
        assert (s.outcomes, s.failures()) == ({("canary", "success"): 1}, 0)


def test_a_fin_starts_its_clock_once() -> None:
    """H46."""
    with stand({"half_close": 1.0}) as s:
        s.say(head(length=200_000) + b"x" * 200_000)
        wire = s.open()
        s.fin()
        s.wait(0.5)
        wire.stick()
        s.wait(0.4)
        wire.go_on()
        s.wait(0.7)
        assert s.client.lost


def test_a_drain_waits_for_a_client_that_reads_slowly() -> None:
    """H52."""
    with stand({}) as s:
        client_does_not_read_what_is_complete(s)
        s.draining = s.loop.create_task(s.plane.drain())
        s.wait(30)
        assert not s.client.closing
        s.client.go_on()
        s.wait(1)
        assert s.client.eof


def test_only_a_body_in_http_1_1_is_waited_for_with_a_100() -> None:
    asked = RequestHead(b"POST", b"/")
    assert not expects(asked)
    asked.special = [(b"te", b"trailers"), (b"expect", b"100-continue")]
    assert expects(asked)
    asked.version = 10
    assert not expects(asked)
