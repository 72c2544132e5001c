"""What changes come to: of a weight or rules, of a rollout, of the whole config. Plain data, and what the log says of a
config that is refused.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from canaryproxy.rollout.state import Notice, Rollout

MAX_LOGGED = 20
"""Problems of a config that the log names; `canaryproxy check` names all."""

log = logging.getLogger("canaryproxy")


class NoSuchRouteError(Exception):
    """There is no route of this name, or no more."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change has become: the generation that every worker follows, and the revision of the route."""

    generation: int
    revision: int


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """What came of an event of a rollout. `durable`: it is on the disk."""

    rollout: Rollout
    notice: tuple[Notice, ...]
    generation: int
    revision: int
    durable: bool = True


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload did, or another canary set over the API.

    `generation` is the one serving now. `problem` is the full text of what is wrong with the file, empty
    if it holds up. `changed` says that something else is served now, a table or certificates; `restart` that
    `server:` differs from what this process was started with, so part of the file waits for a restart. `others` are the
    routes whose canary is another one now, `begun` what that did to their rollouts, which is yet to be kept;
    `edits` what else was edited, `renewed` the routes whose stable is another one.
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
    """Say in the log why the config was not applied, a line for each problem."""
    problems = reload.problem.splitlines()
    log.error("the config was not applied; generation %d stays active", reload.generation)
    for problem in problems[:MAX_LOGGED]:
        log.error("%s", problem)
    if len(problems) > MAX_LOGGED:
        log.error("%d more problems; `canaryproxy check` shows them", len(problems) - MAX_LOGGED)
