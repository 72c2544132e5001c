"""The state of routes that is changed at run time, and how it combines with the config file. Pure.

For each key the latest change wins. The file's value counts as a change only when it differs from the one last read: a
weight set over the API outlives restarts and reloads until that weight is edited in the file. A route that leaves the
file is forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from canaryproxy.config import Config
from canaryproxy.config.canary_document import CanaryDocument
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.config.schema.rules import RuleSet
from canaryproxy.control.fingerprint import Fingerprint, heard_of
from canaryproxy.rollout.identity import RolloutIdentity
from canaryproxy.rollout.machine import transition
from canaryproxy.rollout.plan import Plan
from canaryproxy.rollout.record import RolloutRecord, with_record
from canaryproxy.rollout.state import Observation, Rollout, RolloutEvent, step_text

Source = Literal["file", "api", "rollout"]

NO_ROLLOUT = Rollout()

# For events that need no plan: a canary was added or removed.
NO_PLAN = Plan(())


@dataclass(frozen=True, slots=True)
class RouteState:
    """The state of one route. `weight` is in basis points.

    `file_weight`, `file_rules` and `file_canary` (digests) are the file's, as last read. `rules` and `canary` are None
    while the file's apply. `file_canary` is empty where the file has no canary, and None in old stored states.
    `latched` says why the canary is off until an operator decides, empty if it is not. While a `rollout` is in progress
    it controls the weight; `past` are the last ones, the oldest first. `extra` are unknown fields of a later version,
    kept as they are.

    `waiting` is a weight of the file that takes effect when the route is idle. `heard` are texts of the file
    (`fingerprint.heard_of`). `file_route` is a digest of everything the file says of the route but its rules, empty in
    old stored states. `revision` rises with every change that callers may depend on (`later`).
    """

    weight: int
    weight_source: Source
    file_weight: int
    file_rules: str
    rules: RuleSet | None = None
    latched: str = ""
    rollout: Rollout = NO_ROLLOUT
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    past: tuple[RolloutRecord, ...] = ()
    waiting: int | None = None
    heard: Mapping[str, str] = field(default_factory=dict, hash=False)
    canary: CanaryDocument | None = None
    file_canary: str | None = None
    file_route: str = ""
    revision: int = 0

    @property
    def plain(self) -> bool:
        """Whether there is no canary."""
        return self.file_canary == "" if self.canary is None else self.canary.version is None

    @property
    def off(self) -> bool:
        """Whether the canary gets nothing, whatever a rule or a cookie says."""
        return bool(self.latched) or self.rollout.off

    @property
    def settable(self) -> bool:
        """Whether an operator may set the weight: no rollout controls it."""
        return self.rollout.phase in ("idle", "succeeded")

    @property
    def rules_source(self) -> Literal["file", "api"]:
        """Where the effective rules were set."""
        return "file" if self.rules is None else "api"

    @property
    def canary_source(self) -> Literal["file", "api"]:
        """Where the canary was set or removed."""
        return "file" if self.canary is None else "api"


# By route.
State = Mapping[str, RouteState]


@dataclass(frozen=True, slots=True)
class Audit:
    """Who did what: `at` in seconds since the epoch, `detail` as text, `generation` the one in use until then; the rest
    identifies the current rollout, or the last one.
    """

    at: float
    actor: str
    role: str
    address: str
    action: str
    route: str
    detail: str
    outcome: str
    generation: int | None = None
    rollout_id: str = ""
    stable_version: str = ""
    canary_version: str = ""


def reconcile(
    state: State, config: Config, prints: Mapping[str, Fingerprint], now: float = 0.0
) -> dict[str, RouteState]:
    """The state under a config read at `now`; `prints` are the fingerprints of its routes."""
    return {name: with_rules(state.get(name), route, prints[name], now) for name, route in config.routes.items()}


def with_rules(before: RouteState | None, route: RouteConfig, digests: Fingerprint, now: float = 0.0) -> RouteState:
    """One route's state under its config, of which `digests` is the fingerprint."""
    weight, (rules, canary) = route.weight, digests
    if before is None:
        return RouteState(weight, "file", weight, rules, heard=heard_of(route), file_canary=canary)
    after = before
    if rules != before.file_rules:
        after = replace(after, rules=None, file_rules=rules)
    if canary != before.file_canary:
        kept = before.canary if before.file_canary is None else None
        after = replace(after, canary=kept, file_canary=canary)
    after = _with_or_without(before, after, now)
    if after.plain:
        return replace(after, file_weight=weight, waiting=None)
    came = before.plain and after.canary is None and weight > 0
    return _weight_from_file(after, weight, changed=came or weight != after.file_weight)


def _weight_from_file(before: RouteState, weight: int, changed: bool) -> RouteState:
    """Apply the weight of the file if it `changed`. It waits while a rollout or a latch controls the weight. One that
    waited before a rollout succeeded goes on waiting: only `reset` takes away the traffic that the canary has won.
    """
    if not changed:
        return before if before.waiting is None else replace(before, waiting=None)
    waited = before.rollout.phase == "succeeded" and weight == before.waiting
    if before.latched or not before.settable or waited:
        return before if weight == before.waiting else replace(before, waiting=weight)
    return replace(before, weight=weight, weight_source="file", file_weight=weight, waiting=None)


def with_canary(before: RouteState, canary: CanaryDocument, now: float) -> RouteState:
    """An operator set or removed the canary."""
    return _with_or_without(before, replace(before, canary=canary), now)


def _with_or_without(before: RouteState, after: RouteState, now: float) -> RouteState:
    """The effects of a canary that was removed (no traffic, no rules for it, the rollout ends) or added."""
    if not after.plain:
        if not before.plain:
            return after
        return replace(after, rollout=transition(NO_PLAN, after.rollout, RolloutEvent("added"), now)[0])
    why = "" if after.canary is None else after.canary.problem
    facts = Observation(why=f"the stored canary is not valid: {why}" if why else "")
    rollout = transition(NO_PLAN, after.rollout, RolloutEvent("removed", facts), now)[0]
    past = with_record(after.past, after.rollout, rollout, {}, now)
    after = replace(after, rollout=rollout, rules=_harmless(after.rules), past=past)
    return replace(after, weight=0, weight_source=after.canary_source) if after.weight else after


def settled(before: RouteState, after: RouteState) -> bool:
    """Whether a rollout has ended with its canary, or may begin with a new one."""
    return before.plain != after.plain and before.rollout != after.rollout


def gone(before: State, after: State) -> dict[str, RolloutIdentity]:
    """The rollouts of removed routes."""
    return {name: one.rollout.named for name, one in before.items() if name not in after}


def reported(state: RouteState, report: Mapping[str, Any]) -> RouteState:
    """Add the canary's report to the record of the rollout that has just ended, if one has."""
    past = state.past
    if state.rollout.phase == "idle" or not past or past[-1].identity.id != state.rollout.identity.id:
        return state
    return replace(state, past=(*past[:-1], replace(past[-1], report=report)))


def _harmless(rules: RuleSet | None) -> RuleSet | None:
    """Without rules that reach the canary; the same object where there are none."""
    if rules is None or not any(rule.reaches_canary for rule in rules.rules):
        return rules
    return RuleSet(tuple(rule for rule in rules.rules if not rule.reaches_canary))


def latch(config: Config, fingerprints: Mapping[str, Fingerprint], why: str) -> dict[str, RouteState]:
    """The state when the stored one is lost: every canary, also one added later, is off until an operator decides."""
    states: dict[str, RouteState] = {}
    for name, route in config.routes.items():
        rules, canary = fingerprints[name]
        heard = heard_of(route)
        states[name] = RouteState(0, "file", route.weight, rules, latched=why, heard=heard, file_canary=canary)
    return states


def revised(before: RouteState | None, after: RouteState, route: RouteConfig, now: float) -> RouteState:
    """With the file's current digest, and with a new revision if anything has changed."""
    if after.file_route != route.digest:
        after = replace(after, file_route=route.digest)
    return after if before == after else replace(after, revision=later(0 if before is None else before.revision, now))


def later(revision: int, now: float) -> int:
    """The revision after `revision`: `now` in microseconds since 1970, so that a lost revision is never reused."""
    return max(revision + 1, int(now * 1_000_000))


def effective(config: Config, state: State) -> Config:
    """The config with the canaries set over the API."""
    canaries = {name: one.canary.version for name, one in state.items() if one.canary is not None}
    if not canaries:
        return config
    routes = dict(config.routes)
    for name in canaries.keys() & routes.keys():
        routes[name] = routes[name].model_copy(update={"canary": canaries[name]})
    return config.model_copy(update={"routes": routes})


def with_rollout(before: RouteState, rollout: Rollout, report: Mapping[str, Any], now: float) -> RouteState:
    """The state after a transition of its rollout: its weight applies, and at its end a waiting weight."""
    past = with_record(before.past, before.rollout, rollout, report, now)
    after = replace(before, rollout=rollout, weight=rollout.weight, weight_source="rollout", latched="", past=past)
    if rollout.phase != "idle" or before.waiting is None:
        return after
    return replace(after, weight=before.waiting, weight_source="file", file_weight=before.waiting, waiting=None)


def waits(before: RouteState, after: RouteState, event: RolloutEvent) -> bool:
    """Whether to store a change before publishing it: it neither takes traffic from the canary nor is a name."""
    takes = after.rollout.off or after.weight < before.weight or event.kind in ("changed", "named")
    return after is not before and not takes


def with_weight(before: RouteState, weight: int, file_weight: int) -> RouteState:
    """An operator set the weight, which also ends a latch."""
    return replace(before, weight=weight, weight_source="api", file_weight=file_weight, latched="", waiting=None)


def share(state: RouteState) -> str:
    """The canary's share, and its source where it is not the file: `50 % (rollout: paused, step, step 4 of 5)`."""
    words = f"{state.weight / 100:g} %"
    if state.latched:
        return f"{words} (off: {state.latched})"
    rollout = state.rollout
    if rollout.phase == "idle":
        return words if state.weight_source == "file" else f"{words} (by the {NAMES[state.weight_source]})"
    reason = f", {rollout.reason}" if rollout.reason else ""
    step = "" if rollout.step is None else f", {step_text(rollout)}"
    return f"{words} (rollout: {rollout.phase.replace('_', ' ')}{reason}{step})"


NAMES = {"file": "file", "api": "API", "rollout": "rollout"}
