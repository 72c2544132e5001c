"""When and where an attempt may be repeated."""

import pytest

from canaryproxy.proxy.retry import IDEMPOTENT, Repeat, after_close


@pytest.mark.parametrize(
    ("kept", "answered", "reused", "repeat"),
    [
        (True, False, True, Repeat.SAME),
        (True, False, False, Repeat.ELSEWHERE),
        (False, False, True, Repeat.NEVER),
        (False, False, False, Repeat.NEVER),
        (True, True, True, Repeat.NEVER),
        (True, True, False, Repeat.NEVER),
    ],
)
def test_the_keep_alive_race_is_repeated_at_the_same_endpoint_and_any_other_loss_elsewhere_if_at_all(
    kept: bool, answered: bool, reused: bool, repeat: Repeat
) -> None:
    assert after_close(replay_kept=kept, answered=answered, reused=reused) is repeat


def test_post_and_patch_are_not_repeatable() -> None:
    assert not {b"POST", b"PATCH"} & IDEMPOTENT
