"""DNS lookups of upstream names, at the start and every few seconds.

The last good answer is kept while a name cannot be resolved or has no address: an endpoint that is really gone refuses
connections, which is noticed anyway, while a DNS outage must not take the service down.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

from canaryproxy.probes.failing_dependencies import FailingDependency, Reminder

log = logging.getLogger("canaryproxy")

PERIOD_SECONDS = 5.0
"""Seconds between two lookups of a name: the TTL of Kubernetes' records."""

TIMEOUT_SECONDS = 5.0

Lookup = Callable[[str], Awaitable[tuple[str, ...]]]
"""The addresses of a name; raises `OSError` where there are none."""


async def system_lookup(name: str) -> tuple[str, ...]:
    """All addresses in the family that the system prefers (RFC 6724): two families lead to the same server. Raises
    `OSError`.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for family, _, _, _, address in found if family == found[0][0]))


class Resolver:
    """Keeps `answers` for `names()`, and in `failing` why a name has none; calls `changed` when an answer changes.
    `wall_clock` gives seconds since 1970.
    """

    def __init__(
        self,
        lookup: Lookup,
        names: Callable[[], frozenset[str]],
        changed: Callable[[], None],
        wall_clock: Callable[[], float],
        period: float | None = None,
    ) -> None:
        self.answers: dict[str, tuple[str, ...]] = {}
        self.failing: dict[str, FailingDependency] = {}
        self._lookup = lookup
        self._names = names
        self._changed = changed
        self._period = PERIOD_SECONDS if period is None else period
        self._wall_clock = wall_clock
        self._reminders: dict[str, Reminder] = {}

    def __repr__(self) -> str:
        return f"<Resolver {self.answers}>"

    async def resolve(self, names: frozenset[str]) -> bool:
        """Look up all of them once; True when an answer has changed."""
        found = await asyncio.gather(*map(self._ask, names))
        before = dict(self.answers)
        self.answers.update((name, answer) for name, answer in zip(names, found, strict=True) if answer)
        return self.answers != before

    async def run(self) -> None:
        """Look up all names periodically until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            names = self._names()
            for kept in (self.answers, self.failing, self._reminders):
                for name in kept.keys() - names:
                    del kept[name]
            if await self.resolve(names):
                self._changed()

    async def _ask(self, name: str) -> tuple[str, ...]:
        """The sorted answer, empty on failure, which is logged now and then."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = tuple(sorted(await self._lookup(name)))
        except (OSError, UnicodeError, TimeoutError) as error:
            answer, reason = (), getattr(error, "strerror", None) or str(error) or "no answer in time"
        else:
            reason = "it has no address"
        if answer:
            self._reminders.pop(name, None)
            if self.failing.pop(name, None) is not None:
                log.info("the name %s can be resolved again", name)
        else:
            self._note(name, reason)
        return answer

    def _note(self, name: str, reason: str) -> None:
        now, before = self._wall_clock(), self.failing.get(name)
        begun = FailingDependency("name", name, reason, now, now)
        self.failing[name] = begun if before is None else replace(before, reason=reason, at=now, row=before.row + 1)
        if self._reminders.setdefault(name, Reminder()).due(reason, now):
            kept = "its last addresses stay in use" if name in self.answers else "it has no endpoint until it does"
            log.warning("the name %s cannot be resolved (%s); %s", name, reason, kept)
