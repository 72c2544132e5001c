"""Adding, removing and replacing the canary of a route: checks, texts and events."""

import logging
from collections.abc import Sequence

from canaryproxy.config import Config
from canaryproxy.config.schema.route import VersionConfig
from canaryproxy.config.schema.rules import RuleConfig
from canaryproxy.control.events import EventBus
from canaryproxy.control.state import RouteState
from canaryproxy.probes.endpoints import which
from canaryproxy.rollout.state import IllegalTransitionError, Notice

log = logging.getLogger("canaryproxy")

MAX_NAMED = 20
"""Rules that a message names."""


class NoCanaryError(Exception):
    """The route has no canary; the message says what to do."""

    def __init__(self, route: str) -> None:
        super().__init__(f"{route} has no canary; name one in the config, or with PUT /api/v1/routes/{route}/canary")


def check_removable(route: str, state: RouteState, rules: Sequence[RuleConfig]) -> None:
    """Check that nothing is sent to the canary. Raises `NoCanaryError` and `IllegalTransitionError`."""
    if state.plain:
        raise NoCanaryError(route)
    if state.rollout.moves:
        raise IllegalTransitionError(f"the rollout is {state.rollout.phase}; abort it before the canary is removed")
    if state.weight:
        first = "reset the rollout" if state.rollout.phase == "succeeded" else "set its weight to 0"
        raise IllegalTransitionError(f"the canary gets {state.weight / 100:g} %; {first} before it is removed")
    names = [rule.name for rule in rules if rule.reaches_canary]
    if names:
        raise IllegalTransitionError(f"rules reach the canary, remove them first: {', '.join(names[:MAX_NAMED])}")


def canary_text(state: RouteState) -> tuple[Notice, ...]:
    """The notice for a rollout that ended with its canary, or may begin with a new one."""
    if state.rollout.phase == "rolled_back":
        return (Notice("warning", f"the rollout has ended, all traffic goes to stable: {state.rollout.why}"),)
    words = "the canary was removed after its rollout" if state.plain else "a canary again; a rollout may begin"
    return (Notice("info", words),)


def difference(before: VersionConfig | None, after: VersionConfig | None) -> str:
    """The old and the new canary as text: URLs and version, or that other settings differ."""
    was, now = _shown(before), _shown(after)
    if was != now:
        return f"{was} -> {now}"
    return f"{now}, as it was" if before == after else f"{now}, with other settings"


def _shown(canary: VersionConfig | None) -> str:
    if canary is None:
        return "none"
    where = " ".join(map(str, canary.origins))
    return f"{where} ({canary.version})" if canary.version else where


def publish_change(events: EventBus, before: Config, after: Config, generation: int) -> None:
    """Log and publish which canaries the config has added, removed or replaced."""
    for name in before.routes.keys() & after.routes.keys():
        was, now = before.routes[name].canary, after.routes[name].canary
        if which(was) == which(now):
            continue
        words, fields = difference(was, now), {"action": "canary", "route": name, "generation": generation}
        log.info("canary of %s: %s, by the config, generation %d", name, words, generation, extra={"fields": fields})
        events.publish("canary", name, change=words, source="file", actor="operator", generation=generation)
