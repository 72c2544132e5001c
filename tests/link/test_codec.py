"""Messages survive the way as bytes, in any portions, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.link.codec import HEADER, INTRODUCTION, Decoder, Garbled, encode
from canaryproxy.link.messages import (
    AccessLog,
    Acknowledged,
    Begin,
    Certificates,
    Drain,
    Drained,
    Introduction,
    Listening,
    Message,
    Publication,
)
from canaryproxy.model.certificate import Identity, ListenerTls, UpstreamTls
from canaryproxy.model.delta import CellDelta, CellKey, Delta, GoalDelta, MirrorDelta, Open, Users
from canaryproxy.model.forwarded import Forwarding
from canaryproxy.model.rule import Condition, Rule
from canaryproxy.model.settings import Limits, Timeouts
from canaryproxy.model.table import Affinity, Caching, Endpoint, Route, Version

TLS = ListenerTls((Identity(b"cert", b"key", ("a.test",)),), b"ca")
SECURE = Endpoint("10.0.0.1", 443, "a", UpstreamTls("a", b"ca", Identity(b"c", b"k")))
ROUTE = Route(
    "shop", Version("stable", (SECURE,)), Version("canary", (), max_in_flight=3), 25, ("a.test",),
    affinity=Affinity("cookie", "c", 60, "None", "a.test", "/", True, True, "salt"), caching=Caching(True, True), fallback=frozenset(("stable", "canary")), aborted=True,
)  # fmt: skip
RULES = {"shop": (Rule("t", (Condition("header", "exact", ("x",), "a"),), "canary", preview=True),)}
TABLE = Publication(3, ("shop",), (ROUTE,), RULES)
KEY = CellKey("shop", "canary", "10.0.0.1:443", "rule:t", False)
CELL = CellDelta(KEY, 7, 2, {"success": 2}, {"reset": 1}, {200: 2}, {-40: 2}, {-39: 2}, {3: 1}, {"fallback": 1}, 1)

MESSAGES: tuple[Message, ...] = (
    Begin(0, 2, "canaryproxy-1", b"secret", Limits(), Timeouts(), ("10.0.0.0/8",),
          Forwarding("rfc7239", ("x-forwarded-prefix",)), (Listening(TLS, True), Listening()),
          AccessLog("-", "json"), TABLE),
    TABLE,
    Certificates((TLS, None)),
    Drain(),
    Delta(3, 1.5, (CELL,), (Open(KEY, 6, 2),), (Users("shop", "canary", 500, 1, frozenset((1, 2**63)), frozenset((1,))),),
          (GoalDelta("shop", "canary", "buy", True, 2, 3.5, {0: 1, 31: 1}, 0, {1: 3.5}),), (MirrorDelta("shop", 3, 1, {"success": 2}),),
          {404: 1}, {("shop", "canary"): 1}, frozenset(("10.0.0.1:443",)),
          {("shop", "stable"): 4}),
    Acknowledged(3),
    Drained(1),
    Introduction("1.2", True, "", "/opt/canaryproxy", "3.11.2"),
)  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_comes_out_as_it_went_in(message: Message) -> None:
    assert list(Decoder().feed(encode(message))) == [message]


@given(st.lists(st.sampled_from(MESSAGES), max_size=5), st.integers(1, 400))
def test_messages_arrive_in_order_whatever_the_portions(messages: list[Message], size: int) -> None:
    data, decoder = b"".join(map(encode, messages)), Decoder()
    found = [message for at in range(0, len(data), size) for message in decoder.feed(data[at : at + size])]
    assert found == messages
    assert "0 bytes" in repr(decoder)


@pytest.mark.parametrize(
    "data",
    [
        HEADER.pack(0, 99, 0), HEADER.pack(0, 1, 99), HEADER.pack(2**31, 1, 0), HEADER.pack(1, 1, 5) + b"\xc1",
        HEADER.pack(12, 1, 5) + b"\x81\xaageneration\xa1x"[:12],
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(Garbled):
        list(Decoder().feed(data))


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
    with pytest.raises(Garbled):
        list(Decoder().feed(HEADER.pack(len(payload), 77, INTRODUCTION) + payload))
