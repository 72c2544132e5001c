"""Who fails, since when, and when the log says so."""

from canaryproxy.config import parse
from canaryproxy.probes.failing_dependencies import (
    OTHERWISE,
    REMIND_SECONDS,
    FailingDependencies,
    FailingDependency,
    Key,
    Reminder,
    keys_of,
)

KEY: Key = ("shop", "check", "load")


def test_a_failure_is_said_at_once_then_now_and_then_and_sooner_for_another_reason() -> None:
    reminder = Reminder()
    said = [
        reminder.due(*one)
        for one in (
            ("a", 0.0),
            ("a", REMIND_SECONDS - 1),
            ("a", REMIND_SECONDS),
            ("b", REMIND_SECONDS + OTHERWISE - 1),
            ("b", REMIND_SECONDS + OTHERWISE),
            ("b", REMIND_SECONDS + OTHERWISE + 1),
        )
    ]
    assert said == [True, False, True, False, True, False]


def test_what_fails_is_kept_with_its_beginning_until_it_does_not() -> None:
    now = 5.0
    failures = FailingDependencies(lambda: now)
    assert failures.bad(KEY, "HTTP status 500")
    now = 6.0
    assert not failures.bad(KEY, "HTTP status 503")
    assert failures.of("shop") == [FailingDependency("check", "load", "HTTP status 503", since=5.0, at=6.0, row=2)]
    assert failures.of("blog") == []
    assert failures.good(KEY)
    assert not failures.good(KEY)
    assert failures.bad(KEY, "HTTP status 500")
    failures.retain([])
    assert failures.of("shop") == []


def test_everybody_who_is_asked_or_called_has_a_key() -> None:
    text = """
    stable: http://a
    canary: http://b
    analysis:
      checks: [{name: load, url: "http://q/", max: 1}]
      resources: [{name: cpu, counter: cpu_seconds_total}]
    rollout: {hooks: [{name: g, when: end, url: "http://h"}], notify: {url: "http://n"}}
    """
    assert set(keys_of(parse(text, "f", {}))) == {
        ("default", "check", "load"),
        ("default", "resource", "cpu"),
        ("default", "hook", "g"),
        ("default", "notify", "notify"),
    }
    assert not set(keys_of(parse("{stable: 'http://a', canary: 'http://b', analysis: off}", "f", {})))
