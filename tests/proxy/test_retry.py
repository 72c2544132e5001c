"""When an attempt may be repeated."""

import pytest

from canaryproxy.proxy.retry import IDEMPOTENT, may_retry


@pytest.mark.parametrize(
    ("kept", "answered", "attempts", "allowed"),
    [(True, False, 1, True), (False, False, 1, False), (True, True, 1, False), (True, False, 2, False)],
)
def test_only_a_first_attempt_that_can_be_sent_again_and_got_no_byte_is_repeated(
    kept: bool, answered: bool, attempts: int, allowed: bool
) -> None:
    assert may_retry(replay_kept=kept, answered=answered, attempts=attempts) is allowed


def test_post_and_patch_are_not_repeatable() -> None:
    assert not {b"POST", b"PATCH"} & IDEMPOTENT
