"""Webhooks as a config names them."""

from pathlib import Path

import pytest

from canaryproxy.config import ConfigError, parse
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.schema.hooks import metadata, metadata_text
from canaryproxy.config.schema.rollout import RolloutConfig


def rollout(text: str) -> RolloutConfig:
    return (
        parse(f"{{stable: 'http://a:1', canary: 'http://b:1', rollout: {{{text}}}}}", "f", {}).routes["default"].rollout
    )


def test_a_hook_has_a_moment_and_whom_to_call() -> None:
    (hook,) = rollout("hooks: [{name: approval, when: promotion, url: 'http://x/', metadata: {b: c, a: b}}]").hooks
    assert (hook.when, hook.timeout, hook.retries, hook.secret) == ("promotion", 10.0, 2, "")
    assert metadata_text(hook.metadata) == "{a: b, b: c}"


def test_a_notification_may_go_to_a_chat() -> None:
    notify = rollout("notify: {url: 'http://chat/', style: slack, min_severity: critical, token: abc}").notify
    assert notify is not None
    assert (notify.style, notify.min_severity, notify.secret) == ("slack", "critical", "abc")


def test_token_files_are_watched(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("x")
    config = parse(
        "{stable: 'http://a:1', canary: 'http://b:1', rollout: {hooks: [{name: a, when: end, url: 'http://x/', "
        f"token_file: {path}}}]}}}}",
        "f",
        {},
    )
    assert config.files == (path,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "hooks: [{name: a, when: later, url: 'http://x/'}]",
            "expected start, raise, promotion, end, rollback or event",
        ),
        ("hooks: [{name: a, when: end, url: 'x'}]", "expected a URL"),
        (
            "hooks: [{name: a, when: end, url: 'http://x'}, {name: a, when: end, url: 'http://x'}]",
            "2 hooks named a; give each hook a name of its own",
        ),
        ("hooks: [{name: a, when: end, url: 'http://x', token: a, token_file: /nowhere}]", "cannot be read"),
        ("notify: {url: 'http://x', min_severity: loud}", "expected info, warning or critical"),
        ("notify: {url: 'http://x', style: irc}", "expected json or slack"),
        ("hooks: [{name: a, when: end, url: 'http://x', metadata: {a: 1}}]", "expected a mapping of at most 50 names"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        rollout(text)


def test_leaves_are_words() -> None:
    for wrong in ([1], {"a b": "c"}, {1: "x"}):
        with pytest.raises(InvalidValueError):
            metadata(wrong)
