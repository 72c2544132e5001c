"""Who is asked or called for a route and gives no good answer: since when, how often, and why. Pure but for the log.

Sources of numbers and webhooks report here. The API and `status` show what is kept; the log says it when it begins,
when the reason is another one, now and then while it goes on, and when it is over.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from canaryproxy.config import Config

What = Literal["check", "resource", "hook", "notify", "name"]

REMIND_SECONDS = 60.0
"""Seconds after which the log says a failure again that goes on."""

OTHERWISE = 10.0
"""Seconds after which it does where the reason is another one."""

Key = tuple[str, What, str]
"""Route, what it is, and its name."""


class Reminder:
    """Says when it is time to say again that something fails, and why."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._at = 0.0

    def __repr__(self) -> str:
        return f"<Reminder of {self._reason} at {self._at:g}>"

    def due(self, reason: str, now: float) -> bool:
        """Whether a failure is to be said at this moment: the first one, another reason, and now and then."""
        if self._reason is not None and now - self._at < (REMIND_SECONDS if self._reason == reason else OTHERWISE):
            return False
        self.said(reason, now)
        return True

    def said(self, reason: str, now: float) -> None:
        """It was said just now."""
        self._reason, self._at = reason, now


@dataclass(frozen=True, slots=True)
class FailingDependency:
    """What fails: why, since when, when it did last, and how often in a row. Times in seconds since 1970."""

    what: What
    name: str
    reason: str
    since: float
    at: float
    row: int = 1


class FailingDependencies:
    """All that fail at this moment. `wall_clock` tells seconds since 1970."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._failing: dict[Key, FailingDependency] = {}
        self._reminders: dict[Key, Reminder] = {}

    def __repr__(self) -> str:
        return f"<FailingDependencies {', '.join('/'.join(key) for key in self._failing) or 'none'}>"

    def bad(self, key: Key, reason: str) -> bool:
        """It failed; whether the log is to say so."""
        now, before = self._wall_clock(), self._failing.get(key)
        if before is None:
            self._failing[key] = FailingDependency(key[1], key[2], reason, now, now)
        else:
            self._failing[key] = replace(before, reason=reason, at=now, row=before.row + 1)
        return self._reminders.setdefault(key, Reminder()).due(reason, now)

    def good(self, key: Key) -> bool:
        """It did not fail; whether that is news."""
        self._reminders.pop(key, None)
        return self._failing.pop(key, None) is not None

    def of(self, route: str) -> list[FailingDependency]:
        """Those of a route."""
        return [failing for key, failing in self._failing.items() if key[0] == route]

    def retain(self, keys: Iterable[Key]) -> None:
        """Forget all others."""
        for gone in self._failing.keys() - set(keys):
            self.good(gone)


def keys_of(config: Config) -> Iterable[Key]:
    """Everybody who is asked or called by a config."""
    for name, route in config.routes.items():
        if route.analysis is not None:
            for resource in route.analysis.resources:
                yield name, "resource", resource.name
            for check in route.analysis.checks:
                yield name, "check", check.name
        for hook in route.rollout.hooks:
            yield name, "hook", hook.name
        if route.rollout.notify is not None:
            yield name, "notify", "notify"
