"""Results of changes: of a weight or rules, of a rollout, of the whole config."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from canaryproxy.rollout.state import Notice, Rollout

# Problems of a config that are logged; `canaryproxy check` shows all.
MAX_LOGGED = 20

log = logging.getLogger("canaryproxy")


class NoSuchRouteError(Exception):
    """There is no route of this name, or no longer."""


class NoCanaryError(Exception):
    """The route has no canary; the message says what to do."""

    def __init__(self, route: str) -> None:
        super().__init__(f"{route} has no canary; name one in the config, or with PUT /api/v1/routes/{route}/canary")


@dataclass(frozen=True, slots=True)
class Changed:
    """The generation that every worker uses after a change, and the route's revision."""

    generation: int
    revision: int


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """The result of a rollout event. `durable`: it is stored on disk."""

    rollout: Rollout
    notice: tuple[Notice, ...]
    generation: int
    revision: int
    durable: bool = True


@dataclass(frozen=True, slots=True)
class Reload:
    """The result of a reload, or of setting a canary over the API.

    `generation` is the current one. `problem` is the complete error text of an invalid file, else empty. `changed`:
    another table or other certificates are in use. `restart`: `server:` differs from what this process was started
    with, which takes a restart. `others` are routes with another canary, `begun` the effects on their rollouts, not yet
    stored; `edits` are notes on other edits, `renewed` the routes with another stable.
    """

    generation: int
    changed: bool = False
    restart: bool = False
    problem: str = ""
    others: frozenset[str] = frozenset()
    begun: Mapping[str, RolloutResult] = field(default_factory=dict)
    edits: Mapping[str, tuple[Notice, ...]] = field(default_factory=dict)
    renewed: frozenset[str] = frozenset()


def say_refused(reload: Reload) -> None:
    """Log why the config was rejected, one line per problem."""
    problems = reload.problem.splitlines()
    log.error("the config was not applied; generation %d stays active", reload.generation)
    for problem in problems[:MAX_LOGGED]:
        log.error("%s", problem)
    if len(problems) > MAX_LOGGED:
        log.error("%d more problems; `canaryproxy check` shows them", len(problems) - MAX_LOGGED)
