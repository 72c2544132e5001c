"""What was changed while running, and how it and the file go together. Pure.

Per key the later change wins. The file speaks only where its value differs from the one it had when it was last
heard; so a weight set over the API outlives restarts and reloads until that weight is edited in the file. A
route that leaves the file is forgotten.
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

NO_PLAN = Plan(())
"""Of what needs none: that a canary comes or goes."""


@dataclass(frozen=True, slots=True)
class RouteState:
    """One route's changeable part. `weight` is in basis points.

    `file_weight`, `file_rules` and `file_canary` (digests) are the file's, as last heard. `rules` are None while the
    file's hold, and so is `canary`. `file_canary` is empty where the file has no canary, and None in what was kept when
    none could be left out. `latched` says why the canary is off until an operator decides, empty if it is not. While a
    `rollout` is under way the weight is its; `past` are the last ones, the oldest first. `extra` is what a later
    version has stored of the route: kept as it is.
    `waiting` is a weight of the file that has no effect before the route is idle, None where none waits; `with_rules`
    what else of the file has to be known again by the next process (`control.edits`). `file_route` is a digest of all
    that the file says of the route but its rules, empty in what was kept without one. `revision` is another number
    after every change that a caller may build upon, and rises: microseconds since 1970 (`later`), 0 before it is known.
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
        """Who said the rules."""
        return "file" if self.rules is None else "api"

    @property
    def canary_source(self) -> Literal["file", "api"]:
        """Who said what the canary is, or that there is none."""
        return "file" if self.canary is None else "api"


State = Mapping[str, RouteState]
"""By route."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Who did what: `at` in wall-clock seconds since the epoch; `detail` in words; `generation` served until then;
    the rest says which rollout it was about, and the last one where none was under way.
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
    state: State, config: Config, fingerprints: Mapping[str, Fingerprint], now: float = 0.0
) -> dict[str, RouteState]:
    """The state once a config is heard, at `now`; `fingerprints` are those of its routes."""
    return {name: with_rules(state.get(name), route, fingerprints[name], now) for name, route in config.routes.items()}


def with_rules(before: RouteState | None, route: RouteConfig, said: Fingerprint, now: float = 0.0) -> RouteState:
    """One route's state once its config is heard, of which `said` is the fingerprint."""
    weight, (rules, canary) = route.weight, said
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
    return _weight_from_file(after, weight, said=came or weight != after.file_weight)


def _weight_from_file(before: RouteState, weight: int, said: bool) -> RouteState:
    """The file says so: `said` by an edit, or of a canary that comes with it. It waits while a rollout or a latch says
    what the weight is; one that waited before a rollout succeeded goes on waiting, so that nothing but `reset` takes
    from the canary what it has won.
    """
    if not said:
        return before if before.waiting is None else replace(before, waiting=None)
    waited = before.rollout.phase == "succeeded" and weight == before.waiting
    if before.latched or not before.settable or waited:
        return before if weight == before.waiting else replace(before, waiting=weight)
    return replace(before, weight=weight, weight_source="file", file_weight=weight, waiting=None)


def with_canary(before: RouteState, canary: CanaryDocument, now: float) -> RouteState:
    """An operator set the canary, or removed it."""
    return _with_or_without(before, replace(before, canary=canary), now)


def _with_or_without(before: RouteState, after: RouteState, now: float) -> RouteState:
    """What follows where the canary has gone or come: without one nothing is sent to it and no rollout goes on; one
    that comes begins with nothing.
    """
    if not after.plain:
        if not before.plain:
            return after
        return replace(after, rollout=transition(NO_PLAN, after.rollout, RolloutEvent("added"), now)[0])
    why = "" if after.canary is None else after.canary.problem
    facts = Observation(why=f"what is kept of the canary does not hold up: {why}" if why else "")
    rollout = transition(NO_PLAN, after.rollout, RolloutEvent("removed", facts), now)[0]
    past = with_record(after.past, after.rollout, rollout, {}, now)
    after = replace(after, rollout=rollout, rules=_harmless(after.rules), past=past)
    return replace(after, weight=0, weight_source=after.canary_source) if after.weight else after


def settled(before: RouteState, after: RouteState) -> bool:
    """Whether a rollout has ended with its canary, or may begin with a new one."""
    return before.plain != after.plain and before.rollout != after.rollout


def gone(before: State, after: State) -> dict[str, RolloutIdentity]:
    """The rollouts of routes that are no more."""
    return {name: one.rollout.named for name, one in before.items() if name not in after}


def reported(state: RouteState, report: Mapping[str, Any]) -> RouteState:
    """With what was found of the canary in the record of the rollout that has just ended, if one has."""
    past = state.past
    if state.rollout.phase == "idle" or not past or past[-1].identity.id != state.rollout.identity.id:
        return state
    return replace(state, past=(*past[:-1], replace(past[-1], report=report)))


def _harmless(rules: RuleSet | None) -> RuleSet | None:
    """Without those that reach the canary; the same object where there are none."""
    if rules is None or not any(rule.reaches_canary for rule in rules.rules):
        return rules
    return RuleSet(tuple(rule for rule in rules.rules if not rule.reaches_canary))


def latch(config: Config, fingerprints: Mapping[str, Fingerprint], why: str) -> dict[str, RouteState]:
    """The state when the kept one is lost: no canary gets traffic until an operator decides, not even one that comes
    later, since what the API had said of it is lost, too.
    """
    return {
        name: RouteState(
            0,
            "file",
            route.weight,
            fingerprints[name].rules,
            latched=why,
            heard=heard_of(route),
            file_canary=fingerprints[name].canary,
        )
        for name, route in config.routes.items()
    }


def revised(before: RouteState | None, after: RouteState, route: RouteConfig, now: float) -> RouteState:
    """With what the file says of the route now, and with a new revision if anything is not as it was."""
    if after.file_route != route.digest:
        after = replace(after, file_route=route.digest)
    return after if before == after else replace(after, revision=later(0 if before is None else before.revision, now))


def later(revision: int, now: float) -> int:
    """The revision after one, `now` in seconds since 1970. It is a time, not a count: what was published and then lost
    with the process, or with a state that was thrown away, must never be the revision of something else.
    """
    return max(revision + 1, int(now * 1_000_000))


def effective(config: Config, state: State) -> Config:
    """The config with the canaries that the API says in place of the file's."""
    said = {name: one.canary.version for name, one in state.items() if one.canary is not None}
    if not said:
        return config
    routes = {
        name: route.model_copy(update={"canary": said[name]}) if name in said else route
        for name, route in config.routes.items()
    }
    return config.model_copy(update={"routes": routes})


def with_rollout(before: RouteState, rollout: Rollout, report: Mapping[str, Any], now: float) -> RouteState:
    """A rollout has gone on: what it says of the weight holds, and what waited for its end does then. `report` is what
    was found of the canary until now.
    """
    past = with_record(before.past, before.rollout, rollout, report, now)
    after = replace(before, rollout=rollout, weight=rollout.weight, weight_source="rollout", latched="", past=past)
    if rollout.phase != "idle" or before.waiting is None:
        return after
    return replace(after, weight=before.waiting, weight_source="file", file_weight=before.waiting, waiting=None)


def waits(before: RouteState, after: RouteState, event: RolloutEvent) -> bool:
    """Whether a change has to be on the disk first: all have that take nothing from the canary, but for a name."""
    takes = after.rollout.off or after.weight < before.weight or event.kind in ("changed", "named")
    return after is not before and not takes


def with_weight(before: RouteState, weight: int, file_weight: int) -> RouteState:
    """An operator set the weight: that is a decision, so a latch is over."""
    return replace(before, weight=weight, weight_source="api", file_weight=file_weight, latched="", waiting=None)


def share(state: RouteState) -> str:
    """What a canary gets, and who says so where it is not the file: `50 % (rollout: paused, step, step 4 of 5)`."""
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
