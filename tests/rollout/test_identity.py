"""Which rollout it is, and of what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.rollout.identity import LABEL, SAFE, RolloutIdentity, identifier, label

HOUR = 1_764_295_213.7


def test_an_id_says_when_and_is_sorted_by_time() -> None:
    assert identifier(HOUR, 0) == "20251128-020013-22222"
    ids = [identifier(HOUR + seconds, 31**5 - 1 - seconds) for seconds in (0, 1, 59, 3600, 86_400)]
    assert ids == sorted(ids)


@given(st.integers(0, 31**5 - 1), st.integers(0, 31**5 - 1))
def test_two_of_one_second_differ_by_their_dice(one: int, other: int) -> None:
    assert (identifier(HOUR, one) == identifier(HOUR, other)) == (one == other)
    assert set(identifier(HOUR, one)) <= SAFE


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (("v1", ""), ("v1", ""), True),
        (("v1", ""), ("v2", ""), False),
        (("", "1.0"), ("", "1.0"), True),
        (("", "1.0"), ("", "1.1"), False),
        (("sha1", "1.0"), ("", "1.0"), True),
        (("sha1", "1.0"), ("", "1.1"), False),
        (("sha1", "1.0"), ("sha2", "1.0"), False),
        (("sha1", "1.0"), ("1.0", ""), True),
        (("", "1.0"), ("1.0", "1.0"), True),
        (("v1", ""), ("", "v1"), True),
        (("v1", ""), ("", "1.0"), None),
        (("v1", ""), ("", ""), None),
        (("", ""), ("v1", ""), None),
        (("", ""), ("", "1.0"), None),
        (("", ""), ("", ""), None),
    ],
)
def test_a_canary_is_the_same_by_name_or_by_what_it_calls_itself(
    before: tuple[str, str], after: tuple[str, str], same: bool | None
) -> None:
    """`given` and `announced` of a rollout and of the one that is to come."""
    assert RolloutIdentity("a", *before).same_canary(RolloutIdentity("b", *after)) is same


def test_the_name_that_was_given_goes_before_what_the_canary_calls_itself() -> None:
    assert RolloutIdentity("a", "sha1", "1.0").canary == "sha1"
    assert RolloutIdentity("a", "", "1.0").canary == "1.0"
    assert str(RolloutIdentity("a", "sha1")) == "rollout a of sha1"
    assert str(RolloutIdentity("a")) == "rollout a"


@given(st.text())
def test_a_label_is_short_and_harmless(text: str) -> None:
    assert len(label(text)) <= LABEL
    assert set(label(text)) <= SAFE


def test_a_label_keeps_what_versions_are_written_with() -> None:
    image = "registry:5000/shop@sha256:0123456789abcdef"
    assert label(image) == image
    assert label("v" * 100) == "v" * LABEL
    assert label('v1"} 1\nevil{a="b') == "v1___1_evil_a__b"
