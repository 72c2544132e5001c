"""The compiled code and the plain code make the same of the same bytes: every event, every refusal in its words."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twins.answers import QUESTIONS, Cuts, Plain
from tests.twins.fragments import CUTS, REQUEST, REQUESTS, RESPONSES

pytestmark = pytest.mark.compiled

LIMITS = st.one_of(
    st.just((65_536, 100, 8_192, None)),
    st.tuples(st.sampled_from([64, 200, 1_000]), st.sampled_from([2, 5, 100]), st.sampled_from([8, 64, 300]),
              st.sampled_from([None, 0, 5, 12])),
)  # fmt: skip
ADDRESSES = st.sampled_from(["192.0.2.7", "10.0.0.7", "2001:db8::1", "::ffff:10.0.0.1", "unknown"])
SECONDS = st.one_of(st.floats(0, 2e5), st.sampled_from([0.0, 1e-6, 1e-7, 1.0, 0.5, 86_400.0, 2.0**-20]))
USERS = st.lists(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2**40)), max_size=60)


@pytest.fixture(scope="module")
def plain() -> Iterator[Plain]:
    with Plain() as child:
        yield child


def same(plain: Plain, question: str, *args: Any, **kinds: Any) -> None:
    assert QUESTIONS[question](*args, **kinds) == plain.ask(question, *args, **kinds)


def test_the_two_are_not_of_one_kind(plain: Plain) -> None:
    assert (QUESTIONS["mode"](), plain.ask("mode")) == ("compiled", "plain")


@given(data=REQUESTS, cuts=CUTS, limits=LIMITS)
def test_requests(plain: Plain, data: bytes, cuts: Cuts, limits: tuple[int, int, int, int | None]) -> None:
    same(plain, "requests", data, cuts, limits)


@given(
    data=RESPONSES, cuts=CUTS, take_rest=st.booleans(),
    methods=st.lists(st.sampled_from([b"GET", b"HEAD", b"POST"]), min_size=3, max_size=3),
)  # fmt: skip
def test_responses(plain: Plain, data: bytes, cuts: Cuts, methods: list[bytes], take_rest: bool) -> None:
    same(plain, "responses", data, cuts, methods, take_rest=take_rest)


@given(
    data=REQUEST, answer=RESPONSES, address=ADDRESSES, version=st.sampled_from([None, b"canary"]), close=st.booleans()
)
def test_what_goes_on(
    plain: Plain, data: bytes, answer: bytes, address: str, version: bytes | None, close: bool
) -> None:
    same(plain, "hops", data, answer, address, version, close=close)


@given(streams=st.lists(REQUEST, max_size=5), address=ADDRESSES, seed=st.integers(0, 2**32))
def test_decisions(plain: Plain, streams: list[bytes], address: str, seed: int) -> None:
    same(plain, "decisions", streams, address, seed)


@given(seed=st.integers(0, 2**32), count=st.sampled_from([1, 100, 250, 10_100]))
def test_splits(plain: Plain, seed: int, count: int) -> None:
    same(plain, "buckets", seed, count)


@given(users=USERS, others=USERS, most=st.sampled_from([1, 5, 30, 100]), level=st.integers(0, 4))
def test_distinct_users(plain: Plain, users: list[int], others: list[int], most: int, level: int) -> None:
    same(plain, "distinct", users, others, most, level)


@given(times=st.lists(SECONDS, max_size=30), q=st.floats(0, 1))
def test_histograms(plain: Plain, times: list[float], q: float) -> None:
    same(plain, "histogram", times, q)


@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.sampled_from([101, 200, 204, 404, 503, 999]), SECONDS, st.none() | SECONDS,
                  st.integers(0, 2**64 - 1)),
        max_size=30,
    )
)  # fmt: skip
def test_reports(plain: Plain, exchanges: list[tuple[int, int, float, float | None, int]]) -> None:
    same(plain, "record", exchanges)
