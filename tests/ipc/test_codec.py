"""Messages survive the way as bytes, in any portions, and nothing else is taken for one."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.ipc import codec
from canaryproxy.ipc.codec import DOWN, HEADER, INTRODUCTION, UP, Decoder, Direction, ProtocolError, encode
from canaryproxy.ipc.messages import (
    VERSION,
    AccessLog,
    Acknowledged,
    Certificates,
    Drain,
    Drained,
    Introduction,
    ListenerSettings,
    Message,
    Publication,
    WorkerConfig,
)
from canaryproxy.model.certificate import CertificateIdentity, ListenerTls, UpstreamTls
from canaryproxy.model.forwarded import Forwarding
from canaryproxy.model.report import CounterDelta, CounterKey, Delta, GoalDelta, MirrorDelta, OpenRequests, UsersDelta
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.settings import Limits, Timeouts
from canaryproxy.model.table import Affinity, Caching, Endpoint, Route, Version

TLS = ListenerTls((CertificateIdentity(b"cert", b"key", ("a.test",)),), b"ca")
SECURE = Endpoint("10.0.0.1", 443, "a", UpstreamTls("a", b"ca", CertificateIdentity(b"c", b"k")))
ROUTE = Route(
    "shop",
    Version("stable", (SECURE,)),
    Version("canary", (), max_in_flight=3),
    25,
    ("a.test",),
    affinity=Affinity("cookie", "c", 60, "None", "a.test", "/", True, True, "salt"),
    caching=Caching(True, True),
    fallback=frozenset(("stable", "canary")),
    aborted=True,
)
RULES = {"shop": (Rule("t", (Condition("header", "exact", ("x",), "a"),), "canary", preview=True),)}
TABLE = Publication(3, ("shop",), (ROUTE,), RULES)
KEY = CounterKey("shop", "canary", "10.0.0.1:443", "rule:t", False)
CELL = CounterDelta(KEY, 7, 2, {"success": 2}, {"reset": 1}, {200: 2}, {-40: 2}, {-39: 2}, {3: 1}, {"fallback": 1}, 1)

MESSAGES: tuple[Message, ...] = (
    WorkerConfig(
        0,
        2,
        "canaryproxy-1",
        b"secret",
        Limits(),
        Timeouts(),
        ("10.0.0.0/8",),
        Forwarding("rfc7239", ("x-forwarded-prefix",)),
        (ListenerSettings(TLS, True), ListenerSettings()),
        AccessLog("-", "json"),
        TABLE,
    ),
    TABLE,
    Certificates((TLS, None)),
    Drain(),
    Delta(
        3,
        1.5,
        (CELL,),
        (OpenRequests(KEY, 6, 2),),
        (UsersDelta("shop", "canary", 500, 1, frozenset((1, 2**63)), frozenset((1,))),),
        (GoalDelta("shop", "canary", "buy", True, 2, 3.5, {0: 1, 31: 1}, 0, {1: 3.5}),),
        (MirrorDelta("shop", 3, 1, {"success": 2}),),
        {404: 1},
        {("shop", "canary"): 1},
        frozenset(("10.0.0.1:443",)),
        {("shop", "stable"): 4},
    ),
    Acknowledged(3),
    Drained(1),
    Introduction("1.2", True, "", "/opt/canaryproxy", "3.11.2"),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_comes_out_as_it_went_in(message: Message) -> None:
    assert list(Decoder().feed(encode(message))) == [message]


@given(st.lists(st.sampled_from(MESSAGES), max_size=5), st.integers(1, 400))
def test_messages_arrive_in_order_whatever_the_portions(messages: list[Message], size: int) -> None:
    data, decoder = b"".join(map(encode, messages)), Decoder()
    found = [message for at in range(0, len(data), size) for message in decoder.feed(data[at : at + size])]
    assert found == messages


@pytest.mark.parametrize(
    "data",
    [
        HEADER.pack(0, 99, 0),
        HEADER.pack(0, VERSION, 99),
        HEADER.pack(2**31, VERSION, 0),
        HEADER.pack(1, VERSION, 5) + b"\xc1",
        HEADER.pack(13, VERSION, 5) + b"\x81\xaageneration\xa1x"[:13],
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Decoder().feed(data))


def kind_of(kind: type[Message]) -> int:
    return encode(next(one for one in MESSAGES if type(one) is kind))[5]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_each_direction_takes_its_own_kinds_only(message: Message) -> None:
    ways = [way for way in (UP, DOWN) if type(message) in way.kinds]
    assert len(ways) == 1
    assert list(Decoder(ways[0]).feed(encode(message))) == [message]
    (other,) = {UP, DOWN} - {ways[0]}
    with pytest.raises(ProtocolError, match=f"{type(message).__name__} does not come this way"):
        list(Decoder(other).feed(encode(message)[: HEADER.size]))


@pytest.mark.parametrize(
    ("way", "kind", "longest"),
    [(UP, kind_of(Delta), 2**22), (DOWN, kind_of(WorkerConfig), 2**28), (UP, INTRODUCTION, 2**13)],
)
def test_a_frame_that_is_too_long_is_refused_by_its_header(way: Direction, kind: int, longest: int) -> None:
    list(Decoder(way).feed(HEADER.pack(longest, VERSION, kind)))
    with pytest.raises(ProtocolError, match=f"of {longest + 1} bytes, at most {longest} are allowed"):
        list(Decoder(way).feed(HEADER.pack(longest + 1, VERSION, kind)))


NESTED = b"\x81\xa1x" + b"\x91" * 1_000_000 + b"\xc0"
START = b"\x82\xaageneration\x01\xa2at\x01"


@pytest.mark.parametrize(
    "payload",
    [
        NESTED,
        b"\x91" * 1_000_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\x83" + START[1:] + b"\xa5cells\xdd\xff\xff\xff\xff",
        b"\x83" + START[1:] + b"\xa7refused\xdf\xff\xff\xff\xff",
        b"\x83" + START[1:] + b"\xa7ejected\x91\xc4\x01x",
        b"\x83" + START[1:] + b"\xa7ejected\x91\xa2\xff\xfe",
        b"\x82\xaageneration\xd9\x0299\xa2at\x01",
        b"\x82\xaageneration\xd6\xff\x00\x00\x00\x00\xa2at\x01",
        b"\x81\xaageneration\x01",
        b"",
    ],
)
def test_bombs_are_garbled_and_cost_nothing(payload: bytes) -> None:
    """Nested beyond the stack, lengths that are not there, extensions, text that is none, numbers as text."""
    with pytest.raises(ProtocolError) as caught:
        list(Decoder(UP).feed(HEADER.pack(len(payload), VERSION, kind_of(Delta)) + payload))
    assert len(str(caught.value)) <= 400
    assert str(caught.value).isprintable()


@given(
    cells=st.integers(0, 40),
    users=st.integers(0, 3),
    mirrors=st.integers(0, 3),
    goals=st.integers(0, 3),
    portion=st.integers(100, 5_000),
    most=st.integers(1, 20),
)
def test_a_long_report_is_sent_in_parts_that_add_up_to_it(
    cells: int, users: int, mirrors: int, goals: int, portion: int, most: int
) -> None:
    whole = next(one for one in MESSAGES if isinstance(one, Delta))
    long = replace(
        whole,
        cells=tuple(replace(CELL, second=number) for number in range(cells)),
        users=whole.users * users,
        goals=whole.goals * goals,
        mirrors=whole.mirrors * mirrors,
        turned_away={"full": 2},
        evicted={"files": 1},
        shed=3,
        held=5,
        room=7,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "PORTION", portion)
        patch.setattr(codec, "ENTRIES", most)
        frames = list(codec.frames(long))
    parts = [part for frame in frames for part in Decoder(UP).feed(frame) if isinstance(part, Delta)]
    assert len(parts) == len(frames)
    for name in ("cells", "users", "goals", "mirrors"):
        assert [one for part in parts for one in getattr(part, name)] == list(getattr(long, name))
        assert all(len(getattr(part, name)) <= most for part in parts)
    assert [dict(part.refused) for part in parts if part.refused] == [dict(long.refused)]
    assert sum(sum(part.turned_away.values()) for part in parts) == 2
    assert sum(sum(part.evicted.values()) for part in parts) == 1
    assert sum(part.shed for part in parts) == 3
    added = {"cells", "users", "goals", "mirrors", "refused", "turned_away", "evicted", "shed"}
    for name in {one.name for one in fields(Delta)} - added:
        assert all(getattr(part, name) == getattr(long, name) for part in parts)
    room = portion + len(encode(replace(long, cells=(), users=(), goals=(), mirrors=())))
    assert all(len(frame) <= room or codec.entries(part) <= 1 for frame, part in zip(frames, parts, strict=True))
    assert len(parts) == 1 or cells + users + goals + mirrors > 1


def test_what_waits_in_an_outage_does_not_make_a_report_long() -> None:
    """It is in every part, so parts do not make it shorter."""
    waiting = tuple(OpenRequests(CELL.key._replace(route=f"route-{one % 300}"), one // 300, 1) for one in range(9_000))
    report = Delta(1, 99.0, cells=tuple(replace(CELL, second=one) for one in range(600)), overdue=waiting)
    frames = list(codec.frames(report))
    assert len(frames) <= 2
    assert sum(map(len, frames)) < 2 * len(encode(report))
    assert (
        sum(len(part.cells) for frame in frames for part in Decoder(UP).feed(frame) if isinstance(part, Delta)) == 600
    )


def test_other_messages_are_one_frame_however_long() -> None:
    long = Publication(3, ("x" * codec.PORTION,))
    assert list(codec.frames(long)) == [encode(long)]


def test_who_stops_between_two_messages_gets_the_rest_later() -> None:
    decoder = Decoder()
    decoder.take(encode(Acknowledged(1)) + encode(Acknowledged(2)) + encode(Acknowledged(3))[:-1])
    assert next(decoder.messages()) == Acknowledged(1)
    assert list(decoder.messages()) == [Acknowledged(2)]
    decoder.take(encode(Acknowledged(3))[-1:])
    assert list(decoder.messages()) == [Acknowledged(3)]


@pytest.mark.parametrize(
    ("payload", "understood"),
    [
        (b'{"version": "7.0", "compiled": true, "colour": "red"}', Introduction("7.0", True)),
        (b"{}", Introduction()),
    ],
)
def test_an_introduction_is_understood_whatever_version_the_other_end_speaks(
    payload: bytes, understood: Introduction
) -> None:
    assert list(Decoder().feed(HEADER.pack(len(payload), 77, INTRODUCTION) + payload)) == [understood]


@pytest.mark.parametrize("payload", [b"[]", b"{", b'{"version": 7}'])
def test_an_introduction_that_is_none_is_garbled(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Decoder().feed(HEADER.pack(len(payload), 77, INTRODUCTION) + payload))
