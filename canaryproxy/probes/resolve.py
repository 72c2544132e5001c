"""What names mean: looked up at the start and every few seconds from then on.

The last good answer is kept while a name cannot be resolved or has no address: an endpoint that is really gone
refuses connections, which is noticed anyway, while a resolver that is down must not take the service down.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

from canaryproxy.probes.failing_dependencies import FailingDependency, Reminder

log = logging.getLogger("canaryproxy")

PERIOD_SECONDS = 5.0
"""Seconds between two look-ups of a name: the lifetime that Kubernetes gives its records."""

TIMEOUT_SECONDS = 5.0

Lookup = Callable[[str], Awaitable[tuple[str, ...]]]
"""Addresses of a name; raises `OSError` where there are none."""


async def system_lookup(name: str) -> tuple[str, ...]:
    """All addresses of a name, of the family that the system prefers (RFC 6724). Raises `OSError`.

    Only one family, since two families mostly are two ways to the same server.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for family, _, _, _, address in found if family == found[0][0]))


class Resolver:
    """Keeps `answers` for the names that `names` asks for, and `failing`, why there is none; `changed` is called when
    an answer has changed. `wall_clock` tells seconds since 1970.
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
        """Look all of them up once; True when an answer has changed."""
        found = await asyncio.gather(*map(self._ask, names))
        before = dict(self.answers)
        self.answers.update((name, answer) for name, answer in zip(names, found, strict=True) if answer)
        return self.answers != before

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.sleep(self._period)
            names = self._names()
            for kept in (self.answers, self.failing, self._reminders):
                for name in kept.keys() - names:
                    del kept[name]
            if await self.resolve(names):
                self._changed()

    async def _ask(self, name: str) -> tuple[str, ...]:
        """The sorted answer, or nothing where there is none; said in the log now and then."""
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
