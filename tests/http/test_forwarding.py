"""Heads from one hop to the next. H numbers: docs/http.md."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.http.forwarding import ForwardedClient, HeadRewriter, request_id_of, write_request
from canaryproxy.http.h1.request_parser import RequestParser
from canaryproxy.http.h1.response_parser import ResponseParser
from canaryproxy.model.failure import Failure, RequestRejectedError
from canaryproxy.model.forwarded import Family, Forwarding
from canaryproxy.model.head import RequestHead, ResponseHead
from canaryproxy.model.settings import Limits
from tests.http.h1.streams import requests, responses

HOPS = HeadRewriter("canaryproxy-test", 7)
STRANGER = HOPS.client_for("192.0.2.1")
FRIEND = HOPS.client_for("10.0.0.1", trusted=[ip_network("10.0.0.0/8")])


def read_request(
    fields: bytes = b"", line: bytes = b"GET /a HTTP/1.1", host: bytes = b"Host: shop.test\r\n"
) -> RequestHead:
    reader = RequestParser(Limits())
    reader.feed(line + b"\r\n" + host + fields + b"\r\n")
    head = reader.next()
    assert isinstance(head, RequestHead)
    return head


def read_response(data: bytes, method: bytes = b"GET") -> ResponseHead:
    reader = ResponseParser()
    reader.expect(method)
    reader.feed(data)
    head = reader.next()
    assert isinstance(head, ResponseHead)
    return head


def written(
    head: RequestHead,
    peer: ForwardedClient,
    authority: bytes,
    version: bytes | None,
    *further: bytes,
    hops: HeadRewriter = HOPS,
) -> bytes:
    """The head that an HTTP/1 upstream gets."""
    return write_request(head, hops.request(head, peer, authority, version, *further))


def fields_of(head: bytes) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        fields.setdefault(name.lower(), []).append(value.strip())
    return fields


def sent(fields: bytes = b"", peer: ForwardedClient = STRANGER, **kinds: bytes) -> dict[bytes, list[bytes]]:
    return fields_of(written(read_request(fields, **kinds), peer, b"10.1.1.1:80", None))


def answered(data: bytes, *, line: bytes = b"GET / HTTP/1.1", close: bool = False) -> dict[bytes, list[bytes]]:
    return fields_of(HOPS.response(read_response(data), read_request(line=line), b"", close=close))


def test_the_upstream_gets_the_request_with_our_fields_and_no_others() -> None:
    """H24 H25."""
    head = written(read_request(b"X-A: 1\r\nx-b:2\r\n"), STRANGER, b"x:1", None)
    assert head.startswith(b"GET /a HTTP/1.1\r\nHost: shop.test\r\nX-A: 1\r\nx-b:2\r\n")
    assert list(fields_of(head)) == [
        b"host",
        b"x-a",
        b"x-b",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"via",
        b"x-forwarded-host",
        b"x-request-id",
    ]


@pytest.mark.parametrize(
    "field",
    [
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authorization: x",
        b"Upgrade: h2c",
        b"HTTP2-Settings: x",
        b"TE: gzip",
        b"X-Canary-Version: canary",
        b"Connection: keep-alive",
        b"Trailer: X-A",
    ],
)
def test_fields_of_the_client_hop_stay_behind(field: bytes) -> None:
    """H17 H19 H20 H28."""
    assert field.partition(b":")[0].lower() not in sent(field + b"\r\n")


def test_fields_named_by_connection_are_removed() -> None:
    """H17."""
    seen = sent(b"Connection: X-Hop, close\r\nX-Hop: 1\r\nConnection: x-other\r\nX-Other: 2\r\nX-Kept: 3\r\n")
    assert not {b"x-hop", b"x-other", b"connection"} & set(seen)
    assert seen[b"x-kept"] == [b"3"]


@pytest.mark.parametrize(
    "name", [b"Host", b"Authorization", b"Cookie", b"X-Forwarded-For", b"Content-Length", b"Via", b"X-Request-Id"]
)
def test_connection_cannot_name_away_what_safety_rests_on(name: bytes) -> None:
    """H18."""
    fields = b"Connection: " + name + b"\r\nAuthorization: a\r\nCookie: c\r\nContent-Length: 2\r\n"
    assert name.lower() in sent(fields, line=b"POST /a HTTP/1.1")


def test_a_length_is_rewritten_and_chunks_are_announced() -> None:
    """H2 H15 H20."""
    assert sent(b"Content-Length: 005\r\n")[b"content-length"] == [b"5"]
    seen = sent(b"Transfer-Encoding: Chunked\r\nTrailer: X-Sum\r\nTE: trailers\r\nConnection: TE\r\n")
    assert seen[b"transfer-encoding"] == [b"chunked"]
    assert seen[b"trailer"] == [b"X-Sum"]
    assert (seen[b"te"], seen[b"connection"]) == ([b"trailers"], [b"TE"])


def test_forwarding_fields_of_a_stranger_are_replaced() -> None:
    """H26."""
    seen = sent(
        b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 6.6.6.6\r\n"
        b"Forwarded: for=6.6.6.6\r\nX-Forwarded-Port: 1\r\n"
    )
    assert seen[b"x-forwarded-for"] == [b"192.0.2.1"]
    assert seen[b"x-forwarded-proto"] == [b"http"]
    assert seen[b"x-forwarded-host"] == [b"shop.test"]
    assert not {b"x-real-ip", b"forwarded", b"x-forwarded-port"} & set(seen)


def test_forwarding_fields_of_a_trusted_proxy_are_continued() -> None:
    """H26."""
    seen = sent(
        b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\n"
        b"Forwarded: for=6.6.6.6\r\nX-Forwarded-Host: outside.test\r\n",
        FRIEND,
    )
    assert seen[b"x-forwarded-for"] == [b"6.6.6.6, 7.7.7.7, 10.0.0.1"]
    assert seen[b"x-forwarded-proto"] == [b"https"]
    assert seen[b"x-forwarded-host"] == [b"outside.test"]
    assert seen[b"x-real-ip"] == [b"6.6.6.6"]
    assert b"forwarded" not in seen


@pytest.mark.parametrize(
    "name",
    [
        b"X-Forwarded-User",
        b"X-Forwarded",
        b"x-forwarded-client-cert",
        b"X-FORWARDED-ACCESS-TOKEN",
        b"X-Forwarded-" + b"a" * 60,
        b"X_Forwarded_User",
        b"X-Forwarded_User",
        b"X-Forwarded-My_Own",
        b"X-Forwarded-",
    ],
)
@pytest.mark.parametrize("family", ["x-forwarded", "rfc7239"])
def test_no_field_of_the_older_family_reaches_an_application_from_a_stranger(name: bytes, family: Family) -> None:
    """H14 H26."""
    peer = HOPS.client_for("192.0.2.1", forwarding=Forwarding(family))
    seen = sent(b"X-A: 1\r\n" + name + b": admin\r\nX-B: 2\r\n", peer)
    assert b"admin" not in b" ".join(value for values in seen.values() for value in values)
    assert (seen[b"x-a"], seen[b"x-b"]) == ([b"1"], [b"2"])


def test_names_that_only_resemble_them_pass() -> None:
    seen = sent(b"X-Forwardedfor: 1\r\nXX-Forwarded-For: 2\r\nX-Forward: 3\r\nX-Forwarde-For: 4\r\n")
    assert {b"x-forwardedfor", b"xx-forwarded-for", b"x-forward", b"x-forwarde-for"} <= set(seen)


def test_further_fields_of_a_trusted_proxy_are_kept_in_its_own_family() -> None:
    """H26."""
    fields = b"X-Forwarded-User: a\r\nX-Forwarded-User: b\r\nX-Forwarded-Prefix: /p\r\nX-Forwarded_User: c\r\n"
    seen = sent(fields, FRIEND)
    assert (seen[b"x-forwarded-user"], seen[b"x-forwarded-prefix"]) == ([b"a", b"b"], [b"/p"])
    assert not {b"x-forwarded-user", b"x-forwarded-prefix"} & set(sent(fields, STANDARD))


def test_a_list_lets_some_pass_from_anyone() -> None:
    """H26."""
    families: tuple[Family, ...] = ("x-forwarded", "rfc7239")
    for family in families:
        peer = HOPS.client_for("192.0.2.1", forwarding=Forwarding(family, ("x-forwarded-prefix",)))
        seen = sent(b"X-Forwarded-Prefix: /p\r\nX-Forwarded-User: a\r\n", peer)
        assert seen[b"x-forwarded-prefix"] == [b"/p"]
        assert b"x-forwarded-user" not in seen


STANDARD = HOPS.client_for("10.0.0.1", trusted=[ip_network("10.0.0.0/8")], forwarding=Forwarding("rfc7239"))


@pytest.mark.parametrize(
    ("fields", "forwarded", "sources", "scheme", "host"),
    [
        (b"", b"for=10.0.0.1;proto=http;host=shop.test", b"10.0.0.1", b"http", b"shop.test"),
        (
            b"Forwarded: for=192.0.2.7;proto=https;host=a.test\r\n",
            b"for=192.0.2.7;proto=https;host=a.test, for=10.0.0.1;proto=http;host=shop.test",
            b"192.0.2.7, 10.0.0.1",
            b"https",
            b"a.test",
        ),
        (
            b"Forwarded: for=6.6.6.6;proto=http, for=192.0.2.7;proto=https\r\nForwarded: for=10.9.9.9;proto=http\r\n",
            b"for=6.6.6.6;proto=http, for=192.0.2.7;proto=https, for=10.9.9.9;proto=http, for=10.0.0.1;proto=http;host=shop.test",
            b"192.0.2.7, 10.9.9.9, 10.0.0.1",
            b"https",
            b"shop.test",
        ),
        (
            b'Forwarded: for="[2001:db8::7]:4711";proto=WSS\r\n',
            b'for="[2001:db8::7]:4711";proto=WSS, for=10.0.0.1;proto=http;host=shop.test',
            b"2001:db8::7, 10.0.0.1",
            b"wss",
            b"shop.test",
        ),
        (
            b"Forwarded: for=_hidden;proto=https\r\n",
            b"for=_hidden;proto=https, for=10.0.0.1;proto=http;host=shop.test",
            b"10.0.0.1",
            b"https",
            b"shop.test",
        ),
        (
            b'Forwarded: for="6.6.6.6\r\nForwarded: for=192.0.2.7\r\n',
            b"for=192.0.2.7, for=10.0.0.1;proto=http;host=shop.test",
            b"192.0.2.7, 10.0.0.1",
            b"http",
            b"shop.test",
        ),
        (
            b'Forwarded: for=192.0.2.7\r\nForwarded: for="6.6.6.6\r\n',
            b"for=10.0.0.1;proto=http;host=shop.test",
            b"10.0.0.1",
            b"http",
            b"shop.test",
        ),
        (
            b'Forwarded: for=192.0.2.7;host="evil\\"x"\r\n',
            b'for=192.0.2.7;host="evil\\"x", for=10.0.0.1;proto=http;host=shop.test',
            b"192.0.2.7, 10.0.0.1",
            b"http",
            b"shop.test",
        ),
    ],
)
def test_forwarded_of_a_trusted_proxy_is_read_and_continued_and_the_older_family_is_made_of_it(
    fields: bytes, forwarded: bytes, sources: bytes, scheme: bytes, host: bytes
) -> None:
    """H26 H76."""
    other = b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: ftp\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 6.6.6.6\r\n"
    for before in (b"", other):
        seen = sent(before + fields, STANDARD)
        assert seen[b"forwarded"] == [forwarded]
        if before or fields:
            assert seen[b"x-forwarded-for"] == [sources]
        assert seen[b"x-forwarded-proto"] == [scheme]
        assert seen[b"x-forwarded-host"] == [host]
        assert b"x-real-ip" not in seen


def test_forwarded_of_a_stranger_is_replaced_and_what_needs_quotes_has_them() -> None:
    """H26."""
    peer = HOPS.client_for("2001:db8::1", b"https", forwarding=Forwarding("rfc7239"))
    for fields in (b"", b"Forwarded: for=6.6.6.6;proto=http\r\n"):
        seen = sent(fields, peer, host=b"Host: shop.test:8443\r\n")
        assert seen[b"forwarded"] == [b'for="[2001:db8::1]";proto=https;host="shop.test:8443"']
        assert seen[b"x-forwarded-proto"] == [b"https"]


def test_via_names_the_received_version_and_continues_what_is_there() -> None:
    """H21."""
    assert sent()[b"via"] == [b"1.1 canaryproxy-test"]
    assert sent(line=b"GET / HTTP/1.0")[b"via"] == [b"1.0 canaryproxy-test"]
    assert sent(b"Via: 1.0 a\r\nVia: 1.1 b\r\n")[b"via"] == [b"1.0 a, 1.1 b, 1.1 canaryproxy-test"]


def test_a_request_that_has_passed_here_before_is_refused() -> None:
    """H21."""
    with pytest.raises(RequestRejectedError) as caught:
        sent(b"Via: 1.1 a, 1.1 canaryproxy-test\r\n")
    assert caught.value.failure is Failure.LOOP


def test_request_ids_are_kept_if_sane_and_else_made_each_its_own() -> None:
    """H27."""
    assert sent(b"X-Request-Id: abc-123\r\n")[b"x-request-id"] == [b"abc-123"]
    for bad in (
        b"X-Request-Id: a b\r\n",
        b"X-Request-Id: " + b"x" * 200 + b"\r\n",
        b"X-Request-Id: a\r\nX-Request-Id: b\r\n",
    ):
        assert sent(bad)[b"x-request-id"][0].startswith(b"0000000000000007-")
    assert sent()[b"x-request-id"] != sent()[b"x-request-id"]


def test_a_request_keeps_its_id_on_a_further_attempt() -> None:
    """H27."""
    for fields in (b"", b"X-Request-Id: mine\r\n", b"Via: 1.1 a\r\n"):
        head = written(read_request(fields), STRANGER, b"x:1", None)
        again = written(read_request(fields), STRANGER, b"y:1", b"canary", b"", HOPS.request_id_line)
        assert fields_of(head)[b"x-request-id"] == fields_of(again)[b"x-request-id"]


def test_the_client_gets_the_id_of_its_request_unless_the_origin_gave_it_one() -> None:
    """H77."""

    def given(data: bytes) -> list[bytes]:
        line = b"X-Request-Id: ours\r\n"
        return fields_of(HOPS.response(read_response(data), read_request(), b"", False, b"", line))[b"x-request-id"]

    assert given(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == [b"ours"]
    assert given(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Request-Id:\r\n\r\n") == [b"ours"]
    assert given(b"HTTP/1.1 200 OK\r\nx-request-id: theirs\r\nContent-Length: 0\r\n\r\n") == [b"theirs"]
    assert given(b"HTTP/1.1 204 No\r\nX-Request-ID: a\r\nX-Request-ID: b\r\n\r\n") == [b"a", b"b"]


def test_what_was_never_understood_has_an_id_too() -> None:
    """H77."""
    assert HOPS.request_id(None).startswith(b"X-Request-Id: 0000000000000007-")
    assert HOPS.request_id(read_request(b"X-Request-Id: mine\r\n")) == b"X-Request-Id: mine\r\n"


def test_an_expectation_is_passed_on_but_not_from_http_1_0() -> None:
    """H36."""
    assert sent(b"Expect: 100-continue\r\n")[b"expect"] == [b"100-continue"]
    assert b"expect" not in sent(b"Expect: 100-continue\r\n", line=b"GET / HTTP/1.0")


@pytest.mark.parametrize(
    ("line", "value", "passed"),
    [(b"OPTIONS /a HTTP/1.1", b"3", b"2"), (b"OPTIONS /a HTTP/1.1", b"x", b"x"), (b"GET /a HTTP/1.1", b"3", b"3")],
)
def test_max_forwards_counts_down_for_options(line: bytes, value: bytes, passed: bytes) -> None:
    """H22."""
    assert sent(b"Max-Forwards: " + value + b"\r\n", line=line)[b"max-forwards"] == [passed]


def test_http_1_0_without_host_is_given_the_endpoint_as_host() -> None:
    """H12."""
    assert sent(line=b"GET / HTTP/1.0", host=b"")[b"host"] == [b"10.1.1.1:80"]


def test_the_version_is_reported_where_asked() -> None:
    """H28."""
    head = written(read_request(b"X-Canary-Version: stable\r\n"), STRANGER, b"x:1", b"canary")
    assert fields_of(head)[b"x-canary-version"] == [b"canary"]
    response = HOPS.response(
        read_response(b"HTTP/1.1 200 OK\r\n\r\n"), read_request(), b"X-Canary-Version: canary\r\n", close=False
    )
    assert fields_of(response)[b"x-canary-version"] == [b"canary"]


def test_the_client_gets_the_response_reframed_with_via_and_nothing_invented() -> None:
    """H15 H24."""
    data = b"HTTP/1.1 200 Fine\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n"
    head = HOPS.response(read_response(data), read_request(), b"", close=False)
    assert head == (
        b"HTTP/1.1 200 Fine\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nVia: 1.1 canaryproxy-test\r\n"
        b"Content-Length: 2\r\n\r\n"
    )


def test_fields_of_the_upstream_hop_stay_behind() -> None:
    """H17."""
    seen = answered(
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=3\r\nProxy-Authenticate: Basic\r\n"
        b"Upgrade: h2c\r\nContent-Length: 0\r\n\r\n"
    )
    assert set(seen) == {b"via", b"content-length"}


@pytest.mark.parametrize("name", [b"Cache-Control", b"Vary", b"Set-Cookie", b"Expires", b"X-Request-Id"])
def test_connection_of_an_upstream_cannot_name_away_what_caches_go_by(name: bytes) -> None:
    """H18."""
    seen = answered(b"HTTP/1.1 200 OK\r\nConnection: " + name + b"\r\n" + name + b": a\r\nContent-Length: 0\r\n\r\n")
    assert seen[name.lower()] == [b"a"]


def test_via_of_the_upstream_is_continued() -> None:
    """H21."""
    seen = answered(b"HTTP/1.0 200 OK\r\nVia: 1.1 a\r\nContent-Length: 0\r\n\r\n")
    assert seen[b"via"] == [b"1.1 a, 1.0 canaryproxy-test"]


def test_trailers_are_announced_only_where_they_can_follow() -> None:
    """H38."""
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    assert answered(data)[b"trailer"] == [b"X-Sum"]
    assert b"trailer" not in answered(data, line=b"GET / HTTP/1.0")


def test_a_body_without_length_is_chunked_for_1_1_and_left_to_the_close_for_1_0() -> None:
    """H32."""
    data = b"HTTP/1.1 200 OK\r\n\r\n"
    assert answered(data)[b"transfer-encoding"] == [b"chunked"]
    assert b"transfer-encoding" not in answered(data, line=b"GET / HTTP/1.0", close=True)


def test_persistence_is_reported_to_the_client_in_its_own_terms() -> None:
    data = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert b"connection" not in answered(data)
    assert answered(data, close=True)[b"connection"] == [b"close"]
    assert answered(data, line=b"GET / HTTP/1.0")[b"connection"] == [b"keep-alive"]


def test_a_body_leaves_behind_its_head() -> None:
    head = read_response(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    alone = HOPS.response(head, read_request(), b"X-Extra: 1\r\n", close=True)
    assert alone.endswith(b"X-Extra: 1\r\n\r\n")
    assert HOPS.response(head, read_request(), b"X-Extra: 1\r\n", close=True, body=b"hello") == alone + b"hello"


def test_interim_responses_carry_no_framing() -> None:
    """H30."""
    assert set(answered(b"HTTP/1.1 103 Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n")) == {b"link", b"via"}


LINES = st.tuples(st.sampled_from([200, 201, 404, 500]), st.sampled_from([b"", b"OK", b"No", b"Not Found"]))


@given(st.lists(LINES, max_size=12))
def test_statuses_and_reasons_that_alternate_are_never_mixed_up(lines: list[tuple[int, bytes]]) -> None:
    """The last status line is remembered; that of another response is not taken for it."""
    for status, reason in lines:
        head = read_response(b"HTTP/1.1 %d %b\r\nContent-Length: 0\r\n\r\n" % (status, reason))
        assert HOPS.response(head, read_request(), b"", close=False).startswith(
            b"HTTP/1.1 %d %b\r\n" % (status, reason)
        )


def made_by(hops: HeadRewriter) -> bytes:
    head = written(read_request(), STRANGER, b"x:1", None, hops=hops)
    assert hops.request_id_line in head
    return request_id_of(hops.request_id_line)


def test_request_ids_go_on_when_their_last_digits_have_come_round() -> None:
    """H27."""
    hops = HeadRewriter("canaryproxy-test", 7)
    found = [made_by(hops) for _ in range(2 * 4_096)]
    assert found == [b"%016x-%04x" % (7, number) for number in range(1, 2 * 4_096 + 1)]


TOKENS = st.from_regex(rb"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True).map(lambda name: b"X-" + name)
VALUES = st.from_regex(rb"(?:[!-~\xa0-\xff][ -~\t]{0,12}[!-~])?", fullmatch=True)
PLAIN = st.lists(st.tuples(TOKENS, VALUES), max_size=6).map(
    lambda fields: [
        pair for pair in fields if not pair[0].lower().startswith((b"x-forw", b"x-real", b"x-req", b"x-can"))
    ]
)
FRAMING = st.sampled_from([b"", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"])


@given(PLAIN, FRAMING, st.sampled_from([b"GET", b"POST", b"BREW"]), st.from_regex(rb"/[!-\"$-~]{0,20}", fullmatch=True))
def test_what_we_send_upstream_reads_back_as_what_came_plus_our_fields(
    fields: list[tuple[bytes, bytes]], framing: bytes, method: bytes, target: bytes
) -> None:
    """H15 H23."""
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    head = read_request(lines + framing, line=method + b" " + target + b" HTTP/1.1") if b"%00" not in target else None
    if head is None:
        return
    (again,) = requests([written(head, STRANGER, b"x:1", None)])[:1]
    assert again[0] == "request"
    assert again[1:5] == (method, target, 11, b"shop.test")
    assert again[5] == lines
    assert again[7:9] == (head.body.name, head.length)
    assert {name for name, _ in again[6]} >= {b"via", b"x-request-id", b"x-forwarded-for"}  # type: ignore[attr-defined]


@given(PLAIN, FRAMING, st.integers(200, 599), st.booleans(), st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"]))
def test_what_we_send_to_the_client_reads_back_as_what_came(
    fields: list[tuple[bytes, bytes]], framing: bytes, status: int, close: bool, version: bytes
) -> None:
    """H15 H23."""
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    head = read_response(b"HTTP/1.1 %d Any\r\n" % status + lines + framing + b"\r\n")
    again = responses([HOPS.response(head, read_request(line=b"GET / " + version), b"", close=close)])[0]
    assert again[0:3] == ("response", status, b"Any")
    assert again[4] == lines
    assert again[7] == head.length


def test_fields_of_a_response_that_are_named_often_are_looked_at_once() -> None:
    fields = b"Via: 1.1 a\r\n" + b"Connection: x-a\r\n" * 100 + b"X-A: 1\r\nX-B: 2\r\nVia: 1.0 b\r\n"
    seen = answered(b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 0\r\n\r\n")
    assert seen[b"via"] == [b"1.1 a, 1.0 b, 1.1 canaryproxy-test"]
    assert b"x-a" not in seen
    assert seen[b"x-b"] == [b"2"]
