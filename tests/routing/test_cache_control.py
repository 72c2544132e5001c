"""What caches are advised about an answer. H78, H79."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.model.head import ResponseHead, split_fields
from canaryproxy.model.table import Caching
from canaryproxy.routing import cache_control
from canaryproxy.routing.cache_control import CacheAdvisor, CacheScope, sharing_of
from tests.twins.reference import both

TWINS = both("canaryproxy.routing.field_scan")
SILENT, OPEN, CLOSED, SHARED = CacheScope
COOKIE = b"Set-Cookie: canaryproxy=x\r\n"
BOTH = CacheAdvisor((b"X-Tester", b"Cookie"), Caching())
NOW = 1_795_505_583.0
"""Tue, 24 Nov 2026 07:33:03 GMT."""


def wall() -> float:
    return NOW


def answer(*lines: bytes, caches: CacheAdvisor = BOTH, cookie: bytes = COOKIE, status: int = 200) -> list[bytes]:
    """All lines of an answer."""
    head = ResponseHead(status, b"OK")
    head.plain = b"".join(line + b"\r\n" for line in (b"Server: a", *lines, b"Content-Type: text/html"))
    added = caches.lines(head, cookie, wall)
    return (head.plain + added).split(b"\r\n")[:-1]


def said(*lines: bytes) -> CacheScope:
    values: dict[bytes, list[bytes]] = {}
    for name, value in split_fields(b"".join(line + b"\r\n" for line in lines)):
        values.setdefault(name, []).append(value)
    return sharing_of(values, wall)


@pytest.mark.parametrize(
    ("lines", "sharing"),
    [
        ([], SILENT),
        ([b"Pragma: no-cache"], SILENT),
        ([b"Age: 5", b"ETag: x"], SILENT),
        ([b"Cache-Control: no-cache"], OPEN),
        ([b"Cache-Control: must-revalidate, x=y"], OPEN),
        ([b"Cache-Control:"], OPEN),
        ([b"Cache-Control: public"], SHARED),
        ([b"cache-control: PUBLIC"], SHARED),
        ([b"Cache-Control: s-maxage=5"], SHARED),
        ([b"Cache-Control: immutable"], SHARED),
        ([b"Cache-Control: max-age=60"], SHARED),
        ([b"Cache-Control: max-age=0"], SHARED),
        ([b"Cache-Control: max-age=soon"], SHARED),
        ([b'Cache-Control: max-age="60"'], SHARED),
        ([b"Cache-Control: Max-Age = 60"], SHARED),
        ([b"Cache-Control: no-cache", b"Cache-Control: max-age=60"], SHARED),
        ([b"Cache-Control: no-cache, max-age=60"], SHARED),
        ([b"Cache-Control: private"], CLOSED),
        ([b"Cache-Control: Private, max-age=60"], CLOSED),
        ([b"Cache-Control: max-age=60", b"Cache-Control: no-cache,private"], CLOSED),
        ([b"Cache-Control: public, private"], CLOSED),
        ([b"Cache-Control: no-store"], CLOSED),
        ([b"Cache-Control: no-store, max-age=60"], CLOSED),
        ([b'Cache-Control: private="set-cookie"'], OPEN),
        ([b'Cache-Control: private="set-cookie", max-age=60'], SHARED),
        ([b"Cache-Control: private=x, s-maxage=60"], SHARED),
        ([b'Cache-Control: no-cache="set-cookie"'], OPEN),
        ([b'Cache-Control: x="a, private, b"'], OPEN),
        ([b'Cache-Control: x="a, max-age=60, b"'], OPEN),
        ([b'Cache-Control: x="a, private'], OPEN),
        ([b'Cache-Control: x="a, max-age=60'], SHARED),
        ([b"Cache-Control: xpublic, privately, no-storex"], OPEN),
        ([b"Cache-Control: stale-while-revalidate=5"], OPEN),
        ([b"Expires: Wed, 25 Nov 2026 07:33:03 GMT"], SHARED),
        ([b"Expires: Tue, 24 Nov 2026 07:00:00 GMT"], SHARED),
        ([b"Expires: Wednesday, 25-Nov-26 07:33:03 GMT"], SHARED),
        ([b"Expires: Wed Nov 25 07:33:03 2026"], SHARED),
        ([b"Expires: 0"], SILENT),
        ([b"Expires: -1"], SILENT),
        ([b"Expires:"], SILENT),
        ([b"Expires: Thu, 01 Jan 1970 00:00:00 GMT"], SHARED),
        (
            [
                b"Expires: Tue, 24 Nov 2026 07:00:00 GMT",
                b"Date: Tue, 24 Nov 2026 06:00:00 GMT",
                b"Cache-Control: no-cache",
            ],
            SHARED,
        ),
        (
            [
                b"Expires: Wed, 25 Nov 2026 07:33:03 GMT",
                b"Date: Thu, 26 Nov 2026 00:00:00 GMT",
                b"Cache-Control: no-cache",
            ],
            OPEN,
        ),
        ([b"Expires: Wed, 11 Jan 1984 05:00:00 GMT", b"Cache-Control: no-cache, must-revalidate, max-age=0"], OPEN),
        ([b"Cache-Control: no-cache, max-age=0"], OPEN),
        ([b'Cache-Control: no-cache, max-age="0"'], OPEN),
        ([b"Cache-Control: no-cache, max-age=0, max-age=5"], SHARED),
        ([b"Cache-Control: no-cache, max-age=0, public"], SHARED),
        ([b'Cache-Control: no-cache="x", max-age=0'], SHARED),
        ([b"Cache-Control: no-cache, max-age=abc"], SHARED),
        ([b"Cache-Control: private=, max-age=5"], SHARED),
        ([b"Cache-Control: no-store=, max-age=5"], SHARED),
        ([b"Expires: 0", b"Expires: Wed, 25 Nov 2026 07:33:03 GMT"], SHARED),
        ([b"Expires: Wed, 25 Nov 2026 07:33:03 GMT", b"Cache-Control: private"], CLOSED),
        ([b"Expires: Wed, 25 Nov 2026 07:33:03 GMT", b"Cache-Control: no-cache"], SHARED),
        ([b"Expires: 0", b"Cache-Control: no-cache"], OPEN),
        ([b"Cache-Control: private", b"CDN-Cache-Control: max-age=60"], SHARED),
        ([b"Cache-Control: private", b"Cloudflare-CDN-Cache-Control: no-store"], CLOSED),
        ([b"CDN-Cache-Control:"], SILENT),
        ([b"Surrogate-Control: max-age=60"], SHARED),
        ([b'Surrogate-Control: content="ESI/1.0"'], SILENT),
        ([b"Surrogate-Control: no-store, max-age=60", b"Cache-Control: no-cache"], OPEN),
        ([b"X-Accel-Expires: 60"], SHARED),
        ([b"X-Accel-Expires: 0"], SILENT),
        ([b"X-DNS-Prefetch-Control: off"], SILENT),
    ],
)
def test_what_an_origin_says_is_read_as_rfc_9111_has_it(lines: list[bytes], sharing: CacheScope) -> None:
    """H79."""
    assert said(*lines) is sharing


def test_an_answer_that_says_nothing_gets_the_cookie_and_is_private() -> None:
    """H79."""
    assert answer() == [
        b"Server: a",
        b"Content-Type: text/html",
        b"Cache-Control: private",
        b"Vary: X-Tester, Cookie",
        COOKIE[:-2],
    ]
    assert b"Cache-Control: private" in answer(b"Pragma: no-cache", b"Expires: 0", b"Vary: Accept")


@pytest.mark.parametrize(
    ("line", "then"),
    [
        (b"Cache-Control: no-cache", b"Cache-Control: no-cache, private"),
        (b"cache-control:must-revalidate,x=y ", b"cache-control: must-revalidate,x=y, private"),
        (b"Cache-Control:", b"Cache-Control: private"),
        (b"Cache-Control: no-cache,", b"Cache-Control: no-cache, private"),
        (b'Cache-Control: private="set-cookie"', b'Cache-Control: private="set-cookie", private'),
    ],
)
def test_private_is_added_to_what_the_origin_sent_where_that_says_neither_who_nor_how_long(
    line: bytes, then: bytes
) -> None:
    """H79."""
    seen = answer(line)
    assert (seen[1], seen[-1]) == (then, COOKIE[:-2])
    assert answer(line, cookie=b"")[1] == line


def test_it_goes_into_the_last_of_several_lines_and_before_all_where_a_quote_would_hide_it() -> None:
    """H79."""
    assert answer(b"Cache-Control: no-cache", b"Cache-Control: x")[1:3] == [
        b"Cache-Control: no-cache",
        b"Cache-Control: x, private",
    ]
    assert answer(b'Cache-Control: x="a')[:3] == [b"Cache-Control: private", b"Server: a", b'Cache-Control: x="a']


@pytest.mark.parametrize("line", [b"Cache-Control: private, max-age=60", b"Cache-Control: no-store"])
def test_an_answer_that_no_shared_cache_may_store_gets_the_cookie_and_stays_as_it_is(line: bytes) -> None:
    """H79."""
    assert answer(line) == [b"Server: a", line, b"Content-Type: text/html", b"Vary: X-Tester, Cookie", COOKIE[:-2]]


@pytest.mark.parametrize("status", [200, 204, 206, 301, 304, 404, 410, 500])
@pytest.mark.parametrize(("cookie", "vary"), list(product([False, True], repeat=2)))
def test_an_answer_with_shared_freshness_gets_neither_cookie_nor_vary_by_cookie_unless_asked(
    cookie: bool, vary: bool, status: int
) -> None:
    """H78 H79."""
    caches = CacheAdvisor((b"X-Tester", b"Cookie"), Caching(cookie, vary))
    seen = answer(b"Cache-Control: public, max-age=60", caches=caches, status=status)
    assert seen == [
        b"Server: a",
        b"Cache-Control: public, max-age=60",
        b"Content-Type: text/html",
        b"Vary: X-Tester, Cookie" if vary else b"Vary: X-Tester",
        *([COOKIE[:-2]] if cookie else []),
    ]
    alone = CacheAdvisor((b"Cookie",), Caching(cookie, vary))
    assert (b"Vary: Cookie" in answer(b"Expires: Wed, 25 Nov 2026 07:33:03 GMT", caches=alone)) is vary


@pytest.mark.parametrize(
    ("lines", "then"),
    [
        ([], [b"Vary: X-Tester, Cookie"]),
        ([b"Vary: Accept-Encoding"], [b"Vary: Accept-Encoding, X-Tester, Cookie"]),
        ([b"vary: accept , COOKIE"], [b"vary: accept , COOKIE, X-Tester"]),
        ([b"Vary: Accept", b"Vary: Origin"], [b"Vary: Accept", b"Vary: Origin, X-Tester, Cookie"]),
        ([b"Vary: x-tester", b"Vary: cookie"], [b"Vary: x-tester", b"Vary: cookie"]),
        ([b"Vary: *"], [b"Vary: *"]),
        ([b"Vary: Accept", b"Vary: a, *"], [b"Vary: Accept", b"Vary: a, *"]),
        ([b"Vary:"], [b"Vary: X-Tester, Cookie"]),
    ],
)
def test_names_are_added_to_vary_once_and_none_is_taken_away(lines: list[bytes], then: list[bytes]) -> None:
    """H78."""
    seen = answer(*lines, cookie=b"")
    assert [line for line in seen if line.lower().startswith(b"vary")] == then


def test_where_nothing_is_to_be_said_nothing_is_touched() -> None:
    caches = CacheAdvisor((), Caching())
    assert answer(b"Cache-Control: no-cache", cookie=b"", caches=caches) == [
        b"Server: a",
        b"Cache-Control: no-cache",
        b"Content-Type: text/html",
    ]
    assert answer(caches=caches)[-2:] == [b"Cache-Control: private", COOKIE[:-2]]


DIRECTIVES = st.sampled_from(
    [
        b"public",
        b"private",
        b"no-store",
        b"no-cache",
        b"max-age=1",
        b"s-maxage=0",
        b"immutable",
        b'private="a, b"',
        b"x=y",
        b"",
        b'"',
    ]
)
FIELDS = st.lists(
    st.one_of(
        st.lists(DIRECTIVES, max_size=4).map(lambda some: b"Cache-Control: " + b", ".join(some)),
        st.sampled_from([b"Vary: a", b"Vary: *", b"Expires: 0", b"X: y", b"Expires: Wed, 25 Nov 2026 07:33:03 GMT"]),
    ),
    max_size=5,
)


@given(FIELDS, st.booleans(), st.booleans())
def test_everything_that_the_origin_sent_is_still_there_and_no_cookie_is_in_a_shared_cache(
    lines: list[bytes], cookie: bool, asked: bool
) -> None:
    """H78 H79."""
    seen = answer(*lines, cookie=COOKIE if cookie else b"", caches=CacheAdvisor((b"X-Tester", b"Cookie"), Caching()))
    text = b"\n".join(seen)
    for line in lines:
        assert line.strip() in text
    if COOKIE[:-2] in seen:
        assert said(*seen) is CLOSED or b"Cache-Control: private" in seen


@given(
    st.lists(
        st.sampled_from(
            [
                b"Vary",
                b"vary",
                b"VARy",
                b"Varies",
                b"Expires",
                b"expires",
                b"Expired",
                b"Cache-Control",
                b"control",
                b"X-Accel-Expires",
                b"X-Accel-Expiry",
                b"Server",
                b"A",
                b"Surrogate-Control",
                b"Controls",
                b"CDN-CACHE-CONTROL",
            ]
        ),
        max_size=4,
    ),
    st.sampled_from([b"", b"a: vary: b", b"\xff"]),
)
def test_a_first_look_sees_all_that_matters(names: list[bytes], value: bytes) -> None:
    block = b"".join(name + b": " + value + b"\r\n" for name in names)
    wanted = {
        b"vary",
        b"expires",
        b"cache-control",
        b"control",
        b"x-accel-expires",
        b"surrogate-control",
        b"cdn-cache-control",
    }
    assert [twin.has_cache_fields(block) for twin in TWINS] == [any(name.lower() in wanted for name in names)] * 2


def test_long_values_of_a_hostile_origin_are_not_remembered() -> None:
    """A thousand of 128 KiB each would be 128 MiB in every worker."""
    cache_control._cache.cache_clear()
    for number in range(20):
        cache_control._by_directives((b"max-age=%d, " % number + b"x" * cache_control.MAX_CACHED_LENGTH,))
    assert cache_control._cache.cache_info().currsize == 0
    assert cache_control._by_directives((b"max-age=5",)) == cache_control._judged((b"max-age=5",))
    assert cache_control._cache.cache_info().currsize == 1
