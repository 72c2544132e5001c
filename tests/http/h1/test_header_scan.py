"""Complete heads, taken apart: what either twin makes of them, and that both take the same from the same bytes."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.http.h1.response_parser import finish_head
from canaryproxy.model.failure import RequestRejectedError
from canaryproxy.model.head import Body, RequestHead, ResponseHead
from tests.http.h1.streams import Event, seen
from tests.twins.fragments import REQUEST, RESPONSE
from tests.twins.reference import both, each

EACH = each("canaryproxy.http.h1.header_scan")
plain, compiled = both("canaryproxy.http.h1.header_scan")

LINE = b"GET /a?b HTTP/1.1\r\n"
STATUS = b"HTTP/1.1 200 OK\r\n"


def request(twin: ModuleType, data: bytes, begin: int = 0) -> RequestHead:
    head: RequestHead = twin.take_request(data, begin)
    assert head is not None
    return head


def response(twin: ModuleType, data: bytes, begin: int = 0) -> ResponseHead:
    head: ResponseHead = twin.take_response(data, begin)
    assert head is not None
    return head


def takes_request(twin: ModuleType, data: bytes) -> bool:
    return twin.take_request(data, 0) is not None


def takes_response(twin: ModuleType, data: bytes) -> bool:
    return twin.take_response(data, 0) is not None


@EACH
def test_a_request_is_taken_from_where_it_begins_to_where_it_ends(twin: ModuleType) -> None:
    data = b"POST /x HTTP/1.0\r\nHOST:\t shop.test\r\nX-A: 1\r\nx-b:2\r\n\r\n"
    head = request(twin, b"before" + data + b"behind", 6)
    assert head.end == 6 + len(data)
    assert (head.method, head.target, head.version, head.host) == (b"POST", b"/x", 10, b"shop.test")
    assert (head.plain, head.special) == (b"X-A: 1\r\nx-b:2\r\n", ())


@EACH
def test_special_fields_are_taken_out_of_the_plain_ones(twin: ModuleType) -> None:
    lines = b"A: 1\r\nVIA:\t1.1 x \r\nB: 2\r\nContent-Length: 5\r\nConnection:close\r\nC: 3\r\nX-Real-IP: y\r\n"
    head = request(twin, LINE + lines + b"\r\n")
    assert head.plain == b"A: 1\r\nB: 2\r\nC: 3\r\n"
    assert head.special == [
        (b"via", b"1.1 x"),
        (b"content-length", b"5"),
        (b"connection", b"close"),
        (b"x-real-ip", b"y"),
    ]
    head = request(twin, LINE + b"Via: x\r\nTE: y\r\n\r\n")
    assert (head.plain, len(head.special)) == (b"", 2)


@EACH
@pytest.mark.parametrize("runs", [0, 1, 2, 15, 16, 17, 31, 32, 33, 34, 80])
@pytest.mark.parametrize("last", [b"", b"Z: 1\r\n"])
def test_any_number_of_plain_lines_between_special_ones_stay_in_their_order(
    twin: ModuleType, runs: int, last: bytes
) -> None:
    """The compiled twin remembers the places of 16 runs, and puts together what is more."""
    plain = [b"A-%d: %d\r\n" % (number, number) for number in range(runs)]
    special = [b"Via: %d\r\n" % number for number in range(runs)]
    lines = b"".join(line for pair in zip(plain, special, strict=True) for line in pair) + last
    for head in (request(twin, LINE + lines + b"\r\n"), response(twin, STATUS + lines + b"\r\n")):
        assert head.plain == b"".join(plain) + last
        assert list(head.special) == [(b"via", b"%d" % number) for number in range(runs)]


@EACH
@pytest.mark.parametrize(("target", "encoded"), [(b"/a?b", False), (b"/%41", True), (b"/?%", True), (b"%", True)])
def test_a_percent_sign_in_the_target_is_noticed(twin: ModuleType, target: bytes, encoded: bool) -> None:
    assert request(twin, b"GET " + target + b" HTTP/1.1\r\nX: %\r\n\r\n").encoded is encoded


@EACH
def test_what_one_head_had_another_has_not(twin: ModuleType) -> None:
    request(twin, b"POST /%41 HTTP/1.0\r\nHost: a\r\nA: 1\r\nVia: x\r\nB: 2\r\n\r\n")
    head = request(twin, LINE + b"\r\n")
    assert (head.host, head.plain, list(head.special), head.encoded, head.close) == (None, b"", [], False, False)
    assert (head.body, head.length, head.upgrade) == (Body.NONE, -1, b"")
    response(twin, b"HTTP/1.0 500 No\r\nA: 1\r\nVia: x\r\nContent-Length: 5\r\n\r\n")
    reply = response(twin, b"HTTP/1.1 200\r\n\r\n")
    assert (reply.reason, reply.plain, list(reply.special), reply.close) == (b"", b"", [], False)
    assert (reply.body, reply.length) == (Body.NONE, -1)


@EACH
def test_of_http_1_0_no_more_is_expected_on_the_connection(twin: ModuleType) -> None:
    assert request(twin, b"GET / HTTP/1.0\r\n\r\n").close
    assert response(twin, b"HTTP/1.0 200 OK\r\n\r\n").close


@EACH
def test_a_name_with_an_underscore_for_a_special_one_goes_nowhere(twin: ModuleType) -> None:
    head = request(twin, LINE + b"Content_Length: 5\r\nX_Own: 1\r\nx-real_ip: y\r\nTransfer_encoding: z\r\n\r\n")
    assert (head.plain, list(head.special)) == (b"X_Own: 1\r\n", [])
    reply = response(twin, STATUS + b"X_Canary_Version: 1\r\nX_Own: 1\r\ncontent_length: 7\r\n\r\n")
    assert (reply.plain, list(reply.special), reply.length) == (b"X_Own: 1\r\n", [], -1)


@EACH
@pytest.mark.parametrize("line", [b"Host:\r\n", b"Host: a b\r\n", b"Host: a \r\n", b"Host: \xe9\r\n"])
def test_a_host_that_looks_malformed_is_left_to_be_judged(twin: ModuleType, line: bytes) -> None:
    head = request(twin, LINE + line + b"X: y\r\n\r\n")
    assert head.host is None
    assert head.special == [(b"host", line[5:].strip())]
    assert head.plain == b"X: y\r\n"


@EACH
def test_a_host_that_comes_later_or_again_is_special(twin: ModuleType) -> None:
    head = request(twin, LINE + b"X: y\r\nHost: a\r\n\r\n")
    assert (head.host, head.special) == (None, [(b"host", b"a")])
    head = request(twin, LINE + b"Host: a\r\nhost: b\r\n\r\n")
    assert (head.host, head.special) == (b"a", [(b"host", b"b")])


@EACH
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        LINE,
        LINE + b"\r",
        LINE + b"X: y\r\n",
        LINE + b"X y\r\n\r\n",
        LINE + b": y\r\n\r\n",
        LINE + b"X : y\r\n\r\n",
        LINE + b"X: y\n\r\n",
        LINE + b"X: y\r\r\n\r\n",
        LINE + b" X: y\r\n\r\n",
        LINE + b"X: \0\r\n\r\n",
        LINE + b"X: 12345678\x7f\r\n\r\n",
        LINE + b"X: 1234567\x1f9\r\n\r\n",
        LINE + b"X: \t\n\r\n\r\n",
        LINE + b"Host",
        LINE + b"Host: a",
        LINE + b"Host:",
        b"GET / HTTP/1.2\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET /\xe9 HTTP/1.1\r\n\r\n",
        b"GET /# HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\n\r\n",
        b"GET",
        b"GET ",
        b"GET /",
        b"GET / HTTP/1.1",
        b"GE T / HTTP/1.1\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\n\r\n",
        b" GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"G\xe9T / HTTP/1.1\r\n\r\n",
    ],
)
def test_of_what_is_no_whole_and_valid_request_nothing_is_taken(twin: ModuleType, data: bytes) -> None:
    assert not takes_request(twin, data)


@EACH
def test_a_value_may_hold_tabs_spaces_and_bytes_beyond_ascii(twin: ModuleType) -> None:
    for length in range(20):
        for byte in (b"\t", b" ", b"~", b"\x80", b"\xff"):
            line = b"X: " + b"a" * length + byte * 3 + b"b" * length + byte + b"\r\n"
            head = request(twin, LINE + line + b"\r\n")
            assert (head.plain, head.end) == (line, len(LINE + line) + 2)


@EACH
def test_names_as_long_as_any_are_names_like_any(twin: ModuleType) -> None:
    for length in (24, 25, 26, 30, 31, 32, 33, 63, 64, 65, 200):
        line = b"x" * length + b": 1\r\n"
        assert request(twin, LINE + line + b"\r\n").plain == line


@EACH
@pytest.mark.parametrize("byte", range(256))
def test_any_byte_in_any_place_is_judged_as_the_grammar_says(twin: ModuleType, byte: int) -> None:
    one = bytes((byte,))
    token = one in b"!#$%&'*+-.^_`|~" or one.isalnum()
    assert takes_request(twin, b"G" + one + b" / HTTP/1.1\r\n\r\n") is token or one == b" "
    assert takes_request(twin, LINE + b"X" + one + b"Y: z\r\n\r\n") is (token or one == b":")
    assert takes_request(twin, LINE + b"X: y" + one + b"z\r\n\r\n") is (one in b"\t " or (byte > 0x20 and byte != 0x7F))
    assert takes_request(twin, b"GET /" + one + b" HTTP/1.1\r\n\r\n") is (0x20 < byte < 0x7F and one != b"#")
    assert takes_response(twin, b"HTTP/1.1 2" + one + b"0\r\n\r\n") is one.isdigit()
    assert takes_response(twin, b"HTTP/1.1 " + one + b"00 \r\n\r\n") is (one in b"12345")
    assert takes_response(twin, b"HTTP/1." + one + b" 200 \r\n\r\n") is (one in b"01")


@EACH
def test_a_response_of_nearly_every_kind_is_settled_at_once(twin: ModuleType) -> None:
    data = STATUS + b"Date: x\r\nContent-Length: 005\r\nConnection: keep-alive\r\nETag: y\r\n\r\n"
    head = response(twin, data)
    assert head.end == len(data)
    assert (head.status, head.reason, head.version, head.plain) == (200, b"OK", 11, b"Date: x\r\nETag: y\r\n")
    assert (head.body, head.length, list(head.special)) == (Body.LENGTH, 5, [])


@EACH
@pytest.mark.parametrize(
    ("data", "special"),
    [
        (STATUS + b"X: y\r\n\r\n", []),
        (
            STATUS + b"Connection: close\r\nContent-Length: 5\r\n\r\n",
            [(b"connection", b"close"), (b"content-length", b"5")],
        ),
        (STATUS + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", [(b"content-length", b"5")] * 2),
        (STATUS + b"Content-Length: +5\r\n\r\n", [(b"content-length", b"+5")]),
        (STATUS + b"Content-Length:\r\n\r\n", [(b"content-length", b"")]),
        (STATUS + b"Content-Length: " + b"1" * 19 + b"\r\n\r\n", [(b"content-length", b"1" * 19)]),
        (STATUS + b"Content-Length: 5\r\nVia: x\r\n\r\n", [(b"content-length", b"5"), (b"via", b"x")]),
        (STATUS + b"Transfer-Encoding: chunked\r\n\r\n", [(b"transfer-encoding", b"chunked")]),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", [(b"content-length", b"5")]),
        (b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", [(b"content-length", b"5")]),
        (b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", [(b"content-length", b"5")]),
        (b"HTTP/1.1 103 No\r\nContent-Length: 5\r\n\r\n", [(b"content-length", b"5")]),
    ],
)
def test_of_any_other_response_all_that_is_special_is_reported(
    twin: ModuleType, data: bytes, special: list[tuple[bytes, bytes]]
) -> None:
    head = response(twin, data)
    assert head.end == len(data)
    assert (list(head.special), head.length, head.body) == (special, -1, Body.NONE)


@EACH
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"200", b""),
        (b"200 ", b""),
        (b"200 OK", b"OK"),
        (b"200  OK ", b" OK "),
        (b"200 d\xe9j\xe0\tvu", b"d\xe9j\xe0\tvu"),
    ],
)
def test_reasons(twin: ModuleType, line: bytes, reason: bytes) -> None:
    for _ in range(2):
        assert response(twin, b"HTTP/1.1 " + line + b"\r\n\r\n").reason == reason


@EACH
@pytest.mark.parametrize(
    "data",
    [
        b"",
        STATUS,
        STATUS + b"\r",
        STATUS + b"X: y\r\n",
        b"HTTP/1.1 200\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"HTTP/1.1 200 a\0\r\n\r\n",
        b"HTTP/1.1 200 OK\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        STATUS + b"X: a\r\n b\r\n\r\n",
        b"HTTP/1.1\t200 OK\r\n\r\n",
        b"\r\n" + STATUS + b"\r\n",
    ],
)
def test_of_what_is_no_whole_and_valid_response_nothing_is_taken(twin: ModuleType, data: bytes) -> None:
    assert not takes_response(twin, data)


# The two beside each other: whatever the bytes are, from any place on.

BEFORE = st.sampled_from([b"", b"x", b"\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\n"])


def reported(head: RequestHead | None) -> Event | None:
    """All of a request's head, None where none was taken."""
    return None if head is None else (*seen(head), head.encoded, head.end, head.upgrade)


def settled(head: ResponseHead, method: bytes) -> Event:
    """As a reader tells it: the two may leave different parts of it to be settled."""
    try:
        if head.body is not Body.LENGTH:
            finish_head(head, method)
    except RequestRejectedError as refused:
        return ("refused", refused.failure, str(refused))
    return seen(head)


FIELDS = st.sampled_from(
    [b"A: 1\r\n", b"B: 2\r\nC: 3\r\n", b"Via: x\r\n", b"te: y\r\nX-Real-IP: z\r\n", b"Content_Length: 5\r\n"]
)
ALTERNATING = st.lists(FIELDS, max_size=90).map(b"".join)
"""Far more special fields between plain ones than the compiled twin remembers the places of."""


@pytest.mark.compiled
@given(REQUEST, BEFORE)
def test_requests(data: bytes, before: bytes) -> None:
    one, other = (take(before + data, len(before)) for take in (plain.take_request, compiled.take_request))
    assert reported(one) == reported(other)


@pytest.mark.compiled
@given(RESPONSE, BEFORE, st.sampled_from([b"GET", b"HEAD"]))
def test_responses(data: bytes, before: bytes, method: bytes) -> None:
    one, other = (take(before + data, len(before)) for take in (plain.take_response, compiled.take_response))
    if one is None or other is None:
        assert one is other
        return
    assert one.end == other.end
    if not (method == b"HEAD" and Body.LENGTH in (one.body, other.body)):
        assert settled(one, method) == settled(other, method)


@pytest.mark.compiled
@given(ALTERNATING)
def test_runs_of_plain_lines_between_special_fields(fields: bytes) -> None:
    data = b"GET / HTTP/1.1\r\n" + fields + b"\r\n"
    assert reported(plain.take_request(data, 0)) == reported(compiled.take_request(data, 0))
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + fields + b"\r\n"
    one, other = plain.take_response(data, 0), compiled.take_response(data, 0)
    assert one is not None
    assert (one.end, one.plain, settled(one, b"GET")) == (other.end, other.plain, settled(other, b"GET"))


@pytest.mark.compiled
@given(REQUEST, st.integers(0, 500))
def test_a_head_that_is_cut_is_taken_by_neither(data: bytes, size: int) -> None:
    assert reported(plain.take_request(data[:size], 0)) == reported(compiled.take_request(data[:size], 0))


@pytest.mark.compiled
def test_a_place_behind_the_end_holds_no_head() -> None:
    for begin in (0, 1, 5):
        assert compiled.take_request(b"", begin) is None
        assert compiled.take_response(b"", begin) is None


@pytest.mark.compiled
def test_the_same_host_and_reason_are_the_same_objects() -> None:
    one, other = (compiled.take_request(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", 0) for _ in range(2))
    assert one.host is other.host
    first, second = (compiled.take_response(b"HTTP/1.1 404 Not Found\r\n\r\n", 0) for _ in range(2))
    assert first.reason is second.reason


@pytest.mark.compiled
@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"])
def test_a_well_known_method_is_always_the_same_object(method: bytes) -> None:
    one, other = (compiled.take_request(method + b" / HTTP/1.1\r\n\r\n", 0).method for _ in range(2))
    assert one == method
    assert one is other


@pytest.mark.compiled
@pytest.mark.parametrize("method", [b"GETS", b"GE", b"get", b"PATCHES", b"OPTION", b"P", b"POSE"])
def test_a_method_that_is_nearly_known_is_not_taken_for_it(method: bytes) -> None:
    assert compiled.take_request(method + b" / HTTP/1.1\r\n\r\n", 0).method == method


@pytest.mark.compiled
@given(
    st.one_of(
        st.binary(max_size=40),
        st.tuples(
            st.sampled_from([b"", b"X", b"x-a", b"X Y", b"\x80", b":"]),
            st.sampled_from([b":", b" :", b"", b"::"]),
            st.lists(
                st.sampled_from([b"a", b" ", b"\t", b"\x7f", b"\x80", b"\x00", b"\n", b"\r", b"12345678"]), max_size=12
            ),
            st.sampled_from([b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n"]),
        ).map(lambda parts: parts[0] + parts[1] + b"".join(parts[2]) + parts[3]),
    )
)
def test_a_field_line_is_one_as_the_grammar_has_it(line: bytes) -> None:
    assert compiled.field_line(line) == plain.field_line(line)
