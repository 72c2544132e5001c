"""Distinct users: exact while few, estimated with a stated error when many, whichever worker counted them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.routing.affinity import salt_of
from canaryproxy.routing.hashing import Hash
from canaryproxy.telemetry.record.distinct_users import MAX_KEPT, DistinctUsers, UserNumbers, relative_error, stratum_of

VECTORS = {
    0: 0xBD60ACB658C79E45,
    1: 0x1E9F734161D62DD9,
    0x0706050403020100: 0xEAD411E67EBE2EEA,
    2**63: 0xEF0826FA9EC09086,
    2**64 - 1: 0x2F205BE2FEC8E38D,
}

USERS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 2**40), max_size=200)


@given(USERS)
def test_up_to_the_limit_every_user_counts_once(users: list[int]) -> None:
    seen = DistinctUsers(200)
    for user in users + users:
        seen.add(user)
    assert (len(seen), seen.error, seen.level) == (len(set(users)), 0.0, 0)
    assert seen.users() == set(users)
    assert all(user in seen for user in users)


@given(USERS, USERS, st.integers(1, 50))
def test_samples_of_two_workers_are_the_sample_of_both(one: list[int], other: list[int], most: int) -> None:
    """Whether a user is kept depends on the hash alone, so who saw whom makes no difference."""
    first, second, both = DistinctUsers(most), DistinctUsers(most), DistinctUsers(most)
    for user in one:
        first.add(user)
        both.add(user)
    for user in other:
        second.add(user)
        both.add(user)
    first.merge(second.users(), second.level)
    assert (first.users(), first.level) == (both.users(), both.level)
    assert first.kept == len(first.users()) <= most


def test_beyond_the_limit_the_estimate_is_as_good_as_it_says() -> None:
    rng = random.Random(6)
    errors = []
    for _ in range(40):
        seen = DistinctUsers(1_000)
        for _ in range(20_000):
            seen.add(rng.getrandbits(64))
        assert 500 <= seen.kept <= 1_000
        assert 0.03 < seen.error < 0.05
        errors.append((len(seen) / 20_000 - 1) / seen.error)
    assert sum(abs(error) < 1 for error in errors) >= 20
    assert max(map(abs, errors)) < 4


def test_a_bucket_says_nothing_of_who_is_sampled() -> None:
    """The sample goes by the highest bits, the bucket by the remainder: users of a small weight are not preferred."""
    rng = random.Random(7)
    users = [rng.getrandbits(64) for _ in range(200_000)]
    kept = [user for user in users if stratum_of(user) >= 3]
    assert len(kept) / len(users) == pytest.approx(1 / 8, rel=0.03)
    share = sum(user % 10_000 < 2_500 for user in kept) / len(kept)
    assert share == pytest.approx(0.25, abs=0.01)


def test_an_exact_number_has_no_error_and_an_empty_sample_claims_none() -> None:
    assert (relative_error(5, 0), relative_error(0, 3)) == (0.0, 0.0)
    assert relative_error(100, 1) == pytest.approx(0.0707, abs=0.0001)
    seen = DistinctUsers(1)
    seen.thin(2)
    seen.add(2**63)
    assert (len(seen), 2**63 in seen, seen.level) == (0, False, 2)


@given(st.integers(0, 2**64 - 1) | st.integers(0, 2**20) | st.integers(0, 64).map(lambda bits: 2**bits - 1))
def test_strata_go_by_the_leading_zeros_of_64_bits(user: int) -> None:
    assert stratum_of(user) == 64 - user.bit_length()


def test_users_are_numbered_by_siphash() -> None:
    """As Python hashes 8 bytes with a key of zeros: `PYTHONHASHSEED=0 python3.11 -c 'print(hash(bytes(8)) %
    2**64)'`.
    """
    numbers = UserNumbers(b"")
    assert {user: numbers.of(user) for user in VECTORS} == VECTORS
    assert numbers.of(1) != UserNumbers(b"x").of(1) != UserNumbers(b"\0" * 15 + b"x").of(1)
    assert "secret" not in repr(UserNumbers(b"secret"))


def crafted(tries: int, wanted: int) -> list[bytes]:
    """Of so many keys those whose hash, which is no secret, has the most leading zeros."""
    salt = salt_of("shop")
    best = sorted(range(tries), key=lambda number: Hash(salt).of(b"user-%d" % number))
    return [b"user-%d" % number for number in best[:wanted]]


def test_crafted_keys_do_not_empty_the_sample_of_other_users() -> None:
    """The attack as it was: hashes with many leading zeros fill the sample, whose level rises until no other user is in
    it. Under a number that no client knows they are users like all others.
    """
    hashed, most = Hash(salt_of("shop")), 1_000
    attack = crafted(200_000, 2 * most)
    victims = [b"person-%d" % number for number in range(500)]
    before, now, plain = DistinctUsers(most), DistinctUsers(most), DistinctUsers(most)
    numbers, rng = UserNumbers(random.Random(5).randbytes(16)), random.Random(6)
    for key in victims + attack:
        before.add(hashed.of(key))
        now.add(numbers.of(hashed.of(key)))
        plain.add(rng.getrandbits(64))
    assert before.level >= 7
    assert sum(hashed.of(key) in before for key in victims) < 15
    assert now.level == plain.level == 2
    assert sum(numbers.of(hashed.of(key)) in now for key in victims) > 80
    assert len(now) == pytest.approx(2_500, rel=4 * now.error)


def test_a_flood_of_fresh_keys_costs_precision_and_no_more() -> None:
    """It is what a flood of users would be: a sample of them, with the error that it states."""
    seen, numbers = DistinctUsers(1_000), UserNumbers(b"secret")
    for number in range(50_000):
        seen.add(numbers.of(number))
    assert 500 <= seen.kept <= 1_000
    assert len(seen) == pytest.approx(50_000, rel=4 * seen.error)
    assert MAX_KEPT == 100_000


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=50), st.binary(max_size=16))
def test_users_keep_apart_under_any_key(users: list[int], secret: bytes) -> None:
    numbers = UserNumbers(secret)
    assert len({numbers.of(user) for user in users}) == len(users)
    assert all(0 <= numbers.of(user) < 2**64 for user in users)
