"""What judges have learnt of canaries under way outlives the process, and what nobody watched does not count."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from canaryproxy.control.controller import Controller
from canaryproxy.control.judges import Judges
from canaryproxy.control.noticing import Versions
from canaryproxy.control.store import UnwritableState

log = logging.getLogger("canaryproxy")

MOST_REMEMBERED = 20
"""Routes in a second."""


class Memory:
    """Writes it down once a second, and reads it at the start. `now` is the clock of the deltas, `wall` tells seconds
    since 1970.
    """

    def __init__(
        self, controller: Controller, judges: Judges, versions: Versions, now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:  # fmt: skip
        self._controller = controller
        self._judges = judges
        self._versions = versions
        self._now = now
        self._wall = wall
        self._unwatched: dict[str, tuple[float, float]] = {}
        self._written = True
        self._turn = 0

    def __repr__(self) -> str:
        return f"<Memory: {self._unwatched}>"

    def lost(self, route: str) -> float:
        """Seconds of the present step in which nobody watched."""
        step, lost = self._unwatched.get(route, (0.0, 0.0))
        return lost if step == self._began(route) else 0.0

    async def remember(self, routes: Sequence[str]) -> None:
        """Write down what is known of these, many of them in turns, and forget all others."""
        if not routes and not self._written:
            return
        first = self._turn % len(routes) if routes else 0
        some = [*routes[first:], *routes[:first]][:MOST_REMEMBERED]
        self._turn = first + len(some)
        told = {route: json.dumps(self._learnt(route)) for route in some}
        try:
            await self._controller.remember(told, set(routes))
            self._written = bool(routes)
        except UnwritableState as error:
            log.debug("what is known of canaries cannot be kept: %s", error)

    def _learnt(self, route: str) -> dict[str, Any]:
        return {
            "at": self._wall(), "of": self._digest(route), "version": self._versions.known(route),
            "step": self._began(route), "lost": self.lost(route), "judge": self._judges.kept(route, self._now()),
        }  # fmt: skip

    def _began(self, route: str) -> float:
        return self._controller.state[route].rollout.step_since

    def _digest(self, route: str) -> str:
        """Of all that has to be the same for evidence to be about the same canary."""
        config = self._controller.config.routes[route]
        return hashlib.sha256(repr((config.canary, config.affinity, config.spec)).encode()).hexdigest()

    async def recall(self, routes: Sequence[str]) -> None:
        """What the process before knew of these."""
        learnt = await self._controller.learnt()
        for route in routes:
            try:
                self._recall(route, json.loads(learnt.get(route, "{}")))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                log.warning("%s: what was known of the canary is of no use, it is judged anew: %r", route, error)
                self._recall(route, {})

    def _recall(self, route: str, told: dict[str, Any]) -> None:
        began = since = self._began(route)
        lost = 0.0
        if told.get("version"):
            self._versions.recall(route, told["version"])
        if told.get("of") == self._digest(route) and self._judges.recall(route, told["judge"], self._now()):
            since, lost = told["at"], told["lost"] if told["step"] == began else 0.0
        self._unwatched[route] = (began, lost + max(self._wall() - since, 0.0))
