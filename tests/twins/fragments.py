"""Bytes for readers: messages nearly as they should be, and what attackers and broken servers make of them."""

from hypothesis import strategies as st

Bytes = st.SearchStrategy[bytes]


def _some(parts: list[bytes | Bytes], most: int) -> Bytes:
    return st.lists(_one_of(parts), max_size=most).map(b"".join)


def _one_of(parts: list[bytes | Bytes]) -> Bytes:
    fixed = [part for part in parts if isinstance(part, bytes)]
    return st.one_of(st.sampled_from(fixed), *[part for part in parts if not isinstance(part, bytes)])


def _mostly(usual: list[bytes], strange: list[bytes | Bytes]) -> Bytes:
    """Of every four, about three are usual."""
    return st.integers(0, 3).flatmap(lambda roll: _one_of(strange) if roll == 3 else st.sampled_from(usual))


LENGTHS = _mostly(
    [b"0", b"1", b"5", b"9", b"10"],
    [b"", b" ", b"+5", b"-1", b"5,5", b"5 5", b"0x5", b"5\t", b"\xd9\xa5", b"1_0", b"05", b"000000000000000000005",
     b"999999999999999999", b"9223372036854775807", b"9223372036854775808", b"18446744073709551621", b"1" * 19, b"1" * 40],
)  # fmt: skip

NAMES = _mostly(
    [b"X-A", b"x-a", b"Accept", b"Cookie", b"cookie", b"User-Agent", b"X-Tester", b"X-User", b"X-Bot"],
    [b"X_Forwarded_For", b"Content_Length", b"transfer_encoding", b"Transfer-encodinG", b"X-Forwarded-For", b"Via", b"X",
     b"X-Request-Id", b"x-request_id", b"X-Canary-Version", b"X-Real-IP", b"Forwarded", b"X-Forwarded-User",
     b"x-forwarded", b"X-Forwarded_My-Own", b"X-FORWARDED-" + b"a" * 40, b"X-Forwardedx", b"x-forwarde", b"X-Forwarded-", b"Proxy-Connection", b"Keep-Alive",
     b"TE", b"Trailer", b"Max-Forwards", b"Expect", b"Upgrade", b"HTTP2-Settings", b"Proxy-Authentication-Info",
     b"h" * 31, b"h" * 32, b"H" * 33, b"h" * 300, b"X A", b"X\x00", b"\xe9", b"", b"X-A ", b" X-A", b"X(", b"hos", b"hosts",
     st.text("hHoOsStT-_cC!~^", max_size=5).map(str.encode)],
)  # fmt: skip

VALUES = _mostly(
    [b"1", b"yes", b"a=b", b"a=b; c=d", b'a="b"', b"curl/8", b"0123456789abcdef0123456789", b"trailers"],
    [b"", b"\t", b" \t x \t ", b"a\tb", b"caf\xc3\xa9", b"\xff\x80", b"a\x00b", b"a\x7fb", b"a\x1fb", b"a\rb", b"a\nb",
     b"canaryproxy-twin", b"10.0.0.7, 192.0.2.7", b"keep-alive", b"close", b"X-A, close", b"websocket", b"100-Continue",
     b"a" * 7 + b"\t" + b"b" * 8 + b"\x7f", b"a" * 8 + b"\x01", b"a" * 200, b"\t" * 17, b" =; a = b ;=c;a", b'a="',
     st.binary(max_size=20)],
)  # fmt: skip

COLON = _mostly([b": ", b":"], [b" :", b":\t", b":  ", b"", b"=", b": \t"])
EOL = _mostly([b"\r\n"], [b"\n", b"\r", b"\r\r\n", b" \r\n", b"\r\n ", b"\r\n\t"])

ANY_FIELD = st.tuples(NAMES, COLON, VALUES, EOL).map(b"".join)
LENGTH_FIELD = st.tuples(
    _mostly([b"Content-Length: ", b"content-length:", b"Content-Length:  "], [b"content_length: ", b"CONTENT-LENGTH:\t"]),
    LENGTHS, _mostly([b"\r\n"], [b" \r\n", b"\t\r\n", b"\n"]),
).map(b"".join)  # fmt: skip
CODING_FIELD = st.tuples(
    _mostly([b"Transfer-Encoding: ", b"transfer-encoding:"], [b"Transfer_Encoding: ", b"Transfer-Encoding : "]),
    _mostly([b"chunked", b"Chunked"], [b"gzip, chunked", b"chunked, chunked", b"chunked, gzip", b"identity", b"", b"chunked,",
                                       b"\x0bchunked", b"chunked;x=1", b"xchunked"]),
    EOL,
).map(b"".join)  # fmt: skip
CONNECTION_FIELD = st.tuples(
    st.just(b"Connection: "),
    _mostly([b"close", b"keep-alive"], [b"Keep-Alive", b"close, keep-alive", b"X-A", b"x-a, TE, host", b"upgrade", b"", b",,"]),
    _mostly([b"\r\n"], [b"\n"]),
).map(b"".join)  # fmt: skip
FEW_FIELDS = st.lists(st.one_of(ANY_FIELD, ANY_FIELD, CONNECTION_FIELD), max_size=5).map(b"".join)
MANY_FIELDS = st.tuples(
    st.sampled_from([b"X: y\r\n", b"a:\r\n", b"X-Long: " + b"y" * 90 + b"\r\n"]), st.integers(0, 260)
).map(lambda pair: pair[0] * pair[1])
MANY_RUNS = st.integers(0, 40).flatmap(
    lambda size: st.lists(
        st.sampled_from([b"X: y\r\n", b"X-A: 1\r\nX-B: 2\r\n", b"Via: 1.1 x\r\n", b"X_Real_IP: 1\r\n", b"Forwarded: for=x\r\n"]),
        min_size=size, max_size=size,
    )
).map(b"".join)  # fmt: skip
"""More plain lines with special fields between them than a scanner may care to remember."""

FIELDS = st.integers(0, 9).flatmap(lambda roll: {8: MANY_RUNS, 9: MANY_FIELDS}.get(roll, FEW_FIELDS))

CHUNKS = st.lists(
    _mostly(
        [b"5\r\nhello\r\n", b"1\r\nx\r\n", b"a\r\n0123456789\r\n"],
        [b"5;x=1\r\nhello\r\n", b'5 ; x="y"\r\nhello\r\n', b"005\r\nhello\r\n", b"5\nhello\n", b"5\r\nhello", b"5\r\nhello\n",
         b"ffffffffffffffff\r\n", b"7fffffffffffffff\r\n", b"8000000000000000\r\n", b"10000000000000005\r\nhello\r\n",
         b"0x5\r\nhello\r\n", b" 5\r\nhello\r\n", b"5;" + b"e" * 4_090 + b"\r\nhello\r\n", b"5;" + b"e" * 4_096 + b"\r\n",
         b"-1\r\n", b"5\r\nhell\r\n", b"zz\r\n", b"5;\x00\r\nhello\r\n"],
    ),
    max_size=4,
).map(b"".join)  # fmt: skip
LAST_CHUNK = _mostly(
    [b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX-Sum: 1\r\n\r\n"],
    [b"0;x\r\n\r\n", b"000\r\n\r\n", b"0\r\nX-Sum: 1\r\nContent-Length: 5\r\n\r\n", b"0\r\nX Sum: 1\r\n\r\n", b"0\r\n X\r\n\r\n",
     b"0\r\n\n", b"0\r\n\r", b"0\r\nX: " + b"y" * 3_000 + b"\r\n\r\n", b"0\r\n" + b"a:\r\n" * 30 + b"\r\n", b""],
)  # fmt: skip
CHUNKED = st.tuples(CHUNKS, LAST_CHUNK).map(b"".join)

METHODS = _mostly(
    [b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS"], [b"TRACE", b"CONNECT", b"get", b"G(T", b"M" * 60, b"", b"\xe9"]
)
TARGETS = _mostly(
    [b"/", b"/cart/1?q=x", b"/api", b"/a%20b", b"/?a=b&c"],
    [b"*", b"http://shop.test/cart", b"http://shop.test", b"HTTP://other.test?q=xy", b"https://shop.test/", b"http://a@b/",
     b"http://[::1]:8080/x", b"http:///x", b"shop.test:80", b"//x/../cart", b"/%63art/./1", b"/%00", b"/a?%00", b"/a#b",
     b"/caf\xe9", b"/" + b"a" * 300, b"/" + b"a" * 8_200, b"", b"/a b", b"/\x7f", b"/%2e%2E/cart//1/..", b"/%zz+?q=%78+y"],
)  # fmt: skip
VERSIONS = _mostly(
    [b" HTTP/1.1", b" HTTP/1.1", b" HTTP/1.0"],
    [b" HTTP/1.2", b" HTTP/2.0", b" http/1.1", b"", b"  HTTP/1.1", b" HTTP/11"],
)
HOST_NAMES = _mostly(
    [b"shop.test", b"other.test", b"x.shop.test:8080", b"else.test"],
    [b"", b"a b", b"a\tb", b"caf\xe9", b"a,b", b"[::1]", b"[::1]:99999", b"shop.test:65536", b"shop.test:", b"SHOP.test.", b"u@h",
     b"h" * 255, b"h" * 256, b"h\x00", b"\x7f", b"a/b"],
)  # fmt: skip
HOSTS = st.lists(
    st.tuples(_mostly([b"Host: ", b"host:"], [b"HOST:\t \t", b"hOsT: ", b"Host : ", b" Host: "]), HOST_NAMES,
              _mostly([b"\r\n"], [b" \r\n", b"\t\r\n", b"\n", b"\r"])).map(b"".join),
    min_size=1, max_size=1,
).flatmap(lambda one: st.sampled_from([one, one, one, one, one, [], one * 2]))  # fmt: skip


@st.composite
def _request(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 3))
    framing, body = b"", b""
    if kind == 1:
        framing, body = draw(LENGTH_FIELD), draw(st.sampled_from([b"hello", b"h", b"", b"0123456789", b"hello\r\n"]))
    elif kind == 2:
        framing, body = draw(CODING_FIELD), draw(CHUNKED)
    elif kind == 3 and not draw(st.integers(0, 4)):
        framing, body = draw(CODING_FIELD) + draw(LENGTH_FIELD), draw(CHUNKED)
    lines = [*draw(HOSTS), draw(FIELDS), framing]
    if draw(st.booleans()) and not draw(st.integers(0, 3)):
        lines = draw(st.permutations(lines))
    empty = draw(_mostly([b""], [b"\r\n", b"\r\n" * 20, b"\n", b"\r"]))
    start = empty + draw(METHODS) + draw(_mostly([b" "], [b"  ", b"\t", b""])) + draw(TARGETS) + draw(VERSIONS)
    return start + draw(_mostly([b"\r\n"], [b"\n", b"\r", b" \r\n"])) + b"".join(lines) + b"\r\n" + body


STATUSES = _mostly(
    [b"200", b"404", b"503", b"304", b"204", b"206", b"101"],
    [b"100", b"103", b"199", b"099", b"600", b"2x0", b"20", b"2000", b"", b"205", b"599"],
)
REASONS = _mostly(
    [b" OK", b" OK", b" Not Found", b" ", b""],
    [b"\tOK", b" d\xe9j\xe0", b" a\x00", b" a\x7f", b"  OK ", b" a\tb", b"OK"],
)


@st.composite
def _response(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 4))
    framing, body = b"", draw(st.sampled_from([b"", b"hello"]))
    if kind in (1, 2):
        framing, body = draw(LENGTH_FIELD), draw(st.sampled_from([b"hello", b"h", b"", b"0123456789"]))
    elif kind == 3:
        framing, body = draw(CODING_FIELD), draw(CHUNKED)
    elif kind == 4 and not draw(st.integers(0, 4)):
        framing, body = draw(LENGTH_FIELD) + draw(st.one_of(LENGTH_FIELD, CODING_FIELD)), draw(CHUNKED)
    lines = draw(
        st.permutations([draw(FIELDS), framing, draw(st.one_of(st.just(b""), CONNECTION_FIELD)), draw(FEW_FIELDS)])
    )
    start = draw(
        _mostly([b"HTTP/1.1 ", b"HTTP/1.1 ", b"HTTP/1.0 "], [b"HTTP/1.2 ", b"http/1.1 ", b"HTTP/1.1", b"HTTP/2 "])
    )
    start += draw(STATUSES) + draw(REASONS) + draw(_mostly([b"\r\n"], [b"\n", b"\r", b"\r\n "]))
    return start + b"".join(lines) + b"\r\n" + body


@st.composite
def _damaged(draw: st.DrawFn, whole: Bytes) -> bytes:
    """With, now and then, some bytes in place of others."""
    data = draw(whole)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 3]))):
        at = draw(st.integers(0, len(data)))
        width = draw(st.integers(0, 3))
        new = draw(
            st.one_of(
                st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"\0", b"\t", b" ", b":", b"_", b"\x80", b"\x7f"]),
                st.binary(max_size=2),
            )
        )
        data = data[:at] + new + data[at + width :]
    return data


REQUEST = _damaged(_request())
RESPONSE = _damaged(_response())
REQUESTS = st.lists(REQUEST, min_size=1, max_size=3).map(b"".join)
RESPONSES = st.lists(RESPONSE, min_size=1, max_size=3).map(b"".join)
CUTS: st.SearchStrategy[list[int] | None] = st.one_of(
    st.just([]), st.none(), st.lists(st.integers(0, 2_000), max_size=8)
)
"""Whole, byte by byte, or in pieces."""
