"""The sources and webhooks of a route that fail at present: since when, how often, and why.

The API and `status` show them. A failure is logged when it begins, when its reason changes, once a minute while it
lasts, and when it is over. Pure but for the log.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from canaryproxy.config import Config

What = Literal["check", "resource", "hook", "notify", "name"]

# Seconds between two log lines about the same failure.
REMIND_SECONDS = 60.0

# The same where the reason has changed.
OTHERWISE = 10.0

# Route, or the DNS name itself; kind; name.
Key = tuple[str, What, str]


class Reminder:
    """Decides when a lasting failure is logged again."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._at = 0.0

    def __repr__(self) -> str:
        return f"<Reminder of {self._reason} at {self._at:g}>"

    def due(self, reason: str, now: float) -> bool:
        """Whether to log the failure now: the first time, with a new reason, and as a reminder."""
        if self._reason is not None and now - self._at < (REMIND_SECONDS if self._reason == reason else OTHERWISE):
            return False
        self.said(reason, now)
        return True

    def said(self, reason: str, now: float) -> None:
        """The failure was logged at `now`."""
        self._reason, self._at = reason, now


@dataclass(frozen=True, slots=True)
class FailingDependency:
    """A failure: reason, when it began, when it last happened (seconds since 1970), and how often in a row."""

    what: What
    name: str
    reason: str
    since: float
    at: float
    row: int = 1


class FailingDependencies:
    """All current failures. `wall_clock` gives seconds since 1970."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._failing: dict[Key, FailingDependency] = {}
        self._reminders: dict[Key, Reminder] = {}

    def __repr__(self) -> str:
        return f"<FailingDependencies {', '.join('/'.join(key) for key in self._failing) or 'none'}>"

    def bad(self, key: Key, reason: str) -> bool:
        """Note a failure; returns whether to log it."""
        now, before = self._wall_clock(), self._failing.get(key)
        if before is None:
            self._failing[key] = FailingDependency(key[1], key[2], reason, now, now)
        else:
            self._failing[key] = replace(before, reason=reason, at=now, row=before.row + 1)
        return self._reminders.setdefault(key, Reminder()).due(reason, now)

    def good(self, key: Key) -> bool:
        """Note a success; returns whether a failure has ended."""
        self._reminders.pop(key, None)
        return self._failing.pop(key, None) is not None

    def of(self, route: str) -> list[FailingDependency]:
        """The failures of a route."""
        return [failing for key, failing in self._failing.items() if key[0] == route]

    def retain(self, keys: Iterable[Key]) -> None:
        """Forget all other keys."""
        for gone in self._failing.keys() - set(keys):
            self.good(gone)


def keys_of(config: Config) -> Iterable[Key]:
    """Every source and webhook of a config."""
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
