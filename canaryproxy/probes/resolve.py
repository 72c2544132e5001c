"""DNS lookups of upstream names, at the start and every few seconds.

The last good answer is kept while a name cannot be resolved or has no address: an endpoint that is really gone refuses
connections, which is noticed anyway, while a DNS outage must not take the service down.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from canaryproxy.probes.failing_dependencies import FailingDependencies, Key

log = logging.getLogger("canaryproxy")

# Seconds between two lookups of a name: the TTL of Kubernetes' records.
PERIOD_SECONDS = 5.0

TIMEOUT_SECONDS = 5.0

# The addresses of a name; raises `OSError` where there are none.
Lookup = Callable[[str], Awaitable[tuple[str, ...]]]


async def system_lookup(name: str) -> tuple[str, ...]:
    """All addresses in the system's preferred family (RFC 6724): two lead to the same server. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for family, _, _, _, address in found if family == found[0][0]))


@dataclass(eq=False)
class Resolver:
    """Keeps `answers` for `names()`, and in `failures` why a name has none; calls `changed` when an answer changes."""

    _lookup: Lookup
    _names: Callable[[], frozenset[str]]
    _changed: Callable[[], None]
    failures: FailingDependencies
    _period: float = PERIOD_SECONDS
    answers: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

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
            for name in self.answers.keys() - names:
                del self.answers[name]
            self.failures.retain(_key(name) for name in names)
            if await self.resolve(names):
                self._changed()

    async def _ask(self, name: str) -> tuple[str, ...]:
        """The sorted answer, empty on failure, which is logged now and then."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                # DNS servers rotate their answers: only another set of addresses is a change.
                answer = tuple(sorted(await self._lookup(name)))
        except (OSError, UnicodeError, TimeoutError) as error:
            answer, reason = (), getattr(error, "strerror", None) or str(error) or "no answer in time"
        else:
            reason = "it has no address"
        if answer and self.failures.good(_key(name)):
            log.info("the name %s can be resolved again", name)
        elif not answer and self.failures.bad(_key(name), reason):
            kept = "its last addresses stay in use" if name in self.answers else "it has no endpoint until it does"
            log.warning("the name %s cannot be resolved (%s); %s", name, reason, kept)
        return answer


def _key(name: str) -> Key:
    return name, "name", name
