"""Canaries that are replaced where they are by another one: they say so in the answer to their health check."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from canaryproxy.control.controller import Controller

log = logging.getLogger("canaryproxy")

SETTLED = 10.0
"""Seconds for which a canary has to say that it is another one."""


@dataclass(slots=True)
class Noted:
    """What a canary calls itself: what it is known as, and what it has said since when."""

    known: str
    said: str
    since: float

    def see(self, told: str, now: float) -> bool:
        """Whether it is another one now: it has said so for long enough."""
        if told != self.said:
            self.said, self.since = told, now
        if self.said == self.known or now - self.since < SETTLED:
            return False
        self.known = self.said
        return True


class Versions:
    """What the canaries of all routes call themselves. `now` is a clock in seconds."""

    def __init__(self, controller: Controller, now: Callable[[], float]) -> None:
        self._controller = controller
        self._now = now
        self._noted: dict[str, Noted] = {}

    def __repr__(self) -> str:
        return f"<Versions of {len(self._noted)} routes>"

    def known(self, route: str) -> str:
        """What a route's canary is known as; empty where it has said nothing."""
        noted = self._noted.get(route)
        return "" if noted is None else noted.known

    def recall(self, route: str, version: str) -> None:
        """What it was known as to the process before."""
        self._noted[route] = Noted(version, version, self._now())

    def others(self) -> list[str]:
        """Routes whose canary has called itself something else for a while: a deployment has come to its end."""
        found = []
        for route, config in self._controller.config.routes.items():
            health = config.canary.health
            told = self._controller.canary_version(route) if health is not None and health.version_header else ""
            if told:
                noted = self._noted.setdefault(route, Noted(told, told, self._now()))
                if noted.see(told, self._now()):
                    log.info("%s: the canary is %s now", route, told)
                    found.append(route)
        return found
