"""The access log: what a line says, and that a client cannot say more than its share of it."""

import json
import unicodedata
from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.client import Client
from canaryproxy.model.failure import Outcome
from canaryproxy.model.forwarded import Forwarding
from canaryproxy.model.head import RequestHead
from canaryproxy.telemetry.record.access_log import (
    FORMATS,
    AccessLogEntry,
    as_json,
    as_text,
    client_fields,
    dropped_line,
    entry_without_decision,
)

AT = 1795505583.123

ENTRY = AccessLogEntry(
    at=AT,
    client=b"203.0.113.9",
    peer=b"10.0.0.9",
    method=b"GET",
    host=b"shop.example.com",
    target=b"/cart?x=1",
    http_version=11,
    scheme=b"https",
    status=200,
    route="shop",
    version="canary",
    reason="affinity",
    endpoint="10.0.0.1:8080",
    attempts=2,
    duration=0.0123,
    upstream=0.0112345678,
    connect=0.0005,
    received=0,
    sent=512,
    outcome=Outcome.SUCCESS,
    flags=("fallback", "retry"),
    request_id=b"abc",
)

REFUSED = ENTRY._replace(
    method=b"",
    host=b"",
    target=b"",
    status=400,
    route="",
    version="",
    reason="",
    endpoint="",
    attempts=0,
    upstream=None,
    connect=0.0,
    sent=0,
    outcome="",
    flags=(),
    request_id=b"",
)

seconds = st.floats(0, 1e6)
sizes = st.integers(0, 2**63)

entries = st.builds(
    AccessLogEntry,
    at=st.floats(0, 4e9),
    client=st.binary(),
    peer=st.binary(),
    method=st.binary(),
    host=st.binary(),
    target=st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))),
    http_version=st.sampled_from([10, 11, 20]),
    scheme=st.sampled_from([b"http", b"https"]),
    status=st.integers(100, 599),
    route=st.text(),
    version=st.text(),
    reason=st.one_of(st.sampled_from(["weight", "affinity", "abort"]), st.text().map("rule:{}".format)),
    endpoint=st.text(),
    attempts=st.integers(0, 3),
    duration=seconds,
    upstream=st.none() | seconds,
    connect=seconds,
    received=sizes,
    sent=sizes,
    outcome=st.sampled_from(["", *Outcome]),
    flags=st.lists(st.text()).map(tuple),
    request_id=st.binary(),
)


def test_json_says_everything() -> None:
    assert json.loads(as_json(ENTRY)) == {
        "time": "2026-11-24T07:33:03.123Z",
        "client": "203.0.113.9",
        "peer": "10.0.0.9",
        "method": "GET",
        "scheme": "https",
        "host": "shop.example.com",
        "target": "/cart?x=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "route": "shop",
        "version": "canary",
        "reason": "affinity",
        "endpoint": "10.0.0.1:8080",
        "attempts": 2,
        "duration_ms": 12.3,
        "upstream_ms": 11.235,
        "connect_ms": 0.5,
        "bytes_in": 0,
        "bytes_out": 512,
        "outcome": "success",
        "flags": ["fallback", "retry"],
        "request_id": "abc",
    }


def test_json_names_the_rule_that_decided() -> None:
    data = json.loads(as_json(ENTRY._replace(reason="rule:staff: all")))
    assert (data["reason"], data["rule"]) == ("rule:staff: all", "staff: all")


def test_json_of_an_exchange_without_a_decision_has_null_and_empty_values() -> None:
    data = json.loads(as_json(REFUSED))
    assert (data["upstream_ms"], data["route"], data["flags"]) == (None, "", [])


def test_text_is_one_line_to_read() -> None:
    assert as_text(ENTRY) == (
        '2026-11-24T07:33:03.123Z 203.0.113.9 "GET shop.example.com/cart?x=1" 200 12.3ms 512B'
        " shop/canary affinity 10.0.0.1:8080 outcome=success peer=10.0.0.9 id=abc flags=fallback,retry"
    )


def test_text_has_a_dash_for_what_is_missing() -> None:
    assert (
        as_text(REFUSED)
        == '2026-11-24T07:33:03.123Z 203.0.113.9 "- -" 400 12.3ms 0B - - - outcome=- peer=10.0.0.9 id=- flags=-'
    )


def test_a_full_second_has_its_milliseconds() -> None:
    assert as_text(ENTRY._replace(at=0.0)).startswith("1970-01-01T00:00:00.000Z ")


@pytest.mark.parametrize(
    ("target", "text", "parsed"),
    [
        (b"/\n2026", r"/\n2026", "/\n2026"),
        (b'/"\\', r"/\"\\", '/"\\'),
        (b"/\x1b[2J\x7f", r"/\x1b[2J\x7f", "/\x1b[2J\x7f"),
        (b"/\xff", r"/\xff", r"/\xff"),
        (b"/a b", r"/a\x20b", "/a b"),
        ("/käse".encode(), "/käse", "/käse"),
        ("/\x9b\u2028\u202e".encode(), r"/\x9b\u2028\u202e", "/\x9b\u2028\u202e"),
    ],
)
def test_bytes_that_could_do_harm_are_escaped(target: bytes, text: str, parsed: str) -> None:
    entry = ENTRY._replace(target=target)
    assert f'"GET shop.example.com{text}"' in as_text(entry)
    assert json.loads(as_json(entry))["target"] == parsed


@pytest.mark.parametrize("render", FORMATS.values(), ids=FORMATS)
@given(entry=entries)
def test_any_entry_is_one_line_that_only_prints(render: Callable[[AccessLogEntry], str], entry: AccessLogEntry) -> None:
    line = render(entry)
    assert line.encode().decode() == line
    assert line.splitlines() == [line]
    assert not [character for character in line if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@given(entries)
def test_json_parses_back(entry: AccessLogEntry) -> None:
    data = json.loads(as_json(entry))
    assert data["target"] == entry.target.decode("utf-8", "backslashreplace")
    assert data["request_id"] == entry.request_id.decode("utf-8", "backslashreplace")
    assert (data["route"], data["flags"], data["bytes_out"]) == (entry.route, list(entry.flags), entry.sent)
    assert ("rule" in data) == entry.reason.startswith("rule:")


@given(entries)
def test_no_value_leaves_its_field_in_text(entry: AccessLogEntry) -> None:
    fields = as_text(entry).split(" ")
    assert len(fields) == len(as_text(ENTRY).split(" "))
    assert fields[-2].startswith("id=")
    assert fields[-1].startswith("flags=")


def test_losses_are_reported_in_the_format_of_the_log() -> None:
    assert json.loads(dropped_line(as_json, 7, AT)) == {"time": "2026-11-24T07:33:03.123Z", "dropped": 7}
    assert dropped_line(as_text, 7, AT) == "2026-11-24T07:33:03.123Z dropped=7"


NETWORKS = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("address", "family", "field", "data"),
    [
        ("10.0.0.1", "x-forwarded", (b"x-forwarded-for", b"203.0.113.9, 10.2.2.2"), (b"203.0.113.9", b"http")),
        ("10.0.0.1", "x-forwarded", (b"x-forwarded-proto", b"https"), (b"10.0.0.1", b"https")),
        ("10.0.0.1", "x-forwarded", (b"x-forwarded-for", b"rubbish"), (b"10.0.0.1", b"http")),
        ("10.0.0.1", "x-forwarded", (b"forwarded", b"for=203.0.113.9"), (b"10.0.0.1", b"http")),
        ("10.0.0.1", "rfc7239", (b"forwarded", b"for=203.0.113.9;proto=https"), (b"203.0.113.9", b"https")),
        ("10.0.0.1", "rfc7239", (b"x-forwarded-for", b"203.0.113.9"), (b"10.0.0.1", b"http")),
        ("192.0.2.1", "x-forwarded", (b"x-forwarded-for", b"203.0.113.9"), (b"192.0.2.1", b"http")),
        ("unknown", "x-forwarded", (b"x-forwarded-for", b"203.0.113.9"), (b"unknown", b"http")),
    ],
)
def test_the_client_is_the_one_that_a_trusted_proxy_names(
    address: str, family: str, field: tuple[bytes, bytes], data: tuple[bytes, bytes]
) -> None:
    head = RequestHead(b"GET", b"/")
    head.special = [field]
    client = Client(address, networks=NETWORKS, forwarding=Forwarding(family))  # type: ignore[arg-type]
    assert client_fields(client, head) == data
    entry = entry_without_decision(AT, client, head, 404, b"abc")
    assert (entry.client, entry.peer, entry.scheme, entry.request_id) == (data[0], client.address, data[1], b"abc")
