"""What an edited config does to a route, key by key, in whatever phase its rollout is. Pure.

Every key has a row in `EFFECTS`: an edit is applied or waits, with an event either way; nothing is ignored. Another
canary, another plan and a weight that waits are changes of state (`canaryproxy.rollout`, `control.state`); all else the
next table, judge or tick takes from the config.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from canaryproxy.config import Config
from canaryproxy.config.schema.rollout import RolloutConfig
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.control.fingerprint import heard_later, heard_of
from canaryproxy.control.state import RouteState, with_rollout
from canaryproxy.rollout.machine import transition
from canaryproxy.rollout.plan import Plan
from canaryproxy.rollout.state import UNDER_WAY, Kind, Notice, RolloutEvent, Severity

REQUEST = "from the next request on"
NOW = "from now on"
START = "for the next start"

EFFECTS: dict[str, str] = {
    "hosts": REQUEST,
    "paths": REQUEST,
    "stable": REQUEST,
    "canary": REQUEST,
    "weight": "",
    "rules": "",
    "affinity": REQUEST,
    "mirror": REQUEST,
    "shield": REQUEST,
    "fallback": REQUEST,
    "goals": REQUEST,
    "upgrades": REQUEST,
    "headers": REQUEST,
    "analysis": NOW,
    "rollout.steps": "",
    "rollout.every": "",
    "rollout.step_timeout": "",
    "rollout.bake": NOW,
    "rollout.start": "for the next canary",
    "rollout.prove_above": NOW,
    "rollout.on_timeout": NOW,
    "rollout.rollback_step": NOW,
    "rollout.max_duration": NOW,
    "rollout.max_failed": NOW,
    "rollout.dry_run": NOW,
    "rollout.hooks": "for every call from now on",
    "rollout.notify": "for every message from now on",
}
"""When an edit of a key has its effect; empty where a sentence of its own says so."""

PLAN = ("rollout.steps", "rollout.every", "rollout.step_timeout")
"""What the plan of a rollout under way is made of."""


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    """What was heard otherwise before. What was not heard of at all, by an older version, is no edit."""
    return frozenset(key for key, value in after.items() if before.get(key, value) != value)


@dataclass(frozen=True, slots=True)
class Edit:
    """What another config says of a route: what is `is_immediate_change` of it, the `keys` that say something else, as
    they are written (`shield`, `rollout.bake`), and whether the evidence about the canary starts `over`. One that is
    not
    `by_file` was requested through the API, and is reported there.
    """

    is_immediate_change: Mapping[str, str]
    keys: tuple[str, ...] = ()
    over: bool = False
    by_file: bool = True


def compare(before: Config | None, after: Config) -> dict[str, Edit]:
    """What was edited of each route that there is. Of a config before the process only what was heard is known."""
    known: Mapping[str, RouteConfig] = {} if before is None else before.routes
    return {name: compared(known.get(name), route) for name, route in after.routes.items()}


def compare_again(found: Mapping[str, Edit], before: Config, guessed: Config, after: Config) -> dict[str, Edit]:
    """The same of `after`, where what `guessed` comes to is known: only other canaries are compared again."""
    others = [name for name, route in after.routes.items() if route.canary is not guessed.routes[name].canary]
    return {**found, **{name: compared(before.routes.get(name), after.routes[name]) for name in others}}


def compared(before: RouteConfig | None, after: RouteConfig) -> Edit:
    """What was edited of one route."""
    if before is None or before == after:
        return Edit(heard_of(after))
    return Edit(heard_of(after), tuple(_keys(before, after)), _over(before, after))


def _keys(before: RouteConfig, after: RouteConfig) -> Iterator[str]:
    for name in RouteConfig.model_fields:
        was, now = getattr(before, name), getattr(after, name)
        if name == "rollout":
            yield from (
                f"rollout.{one}" for one in RolloutConfig.model_fields if getattr(was, one) != getattr(now, one)
            )
        elif was != now:
            yield name


def _over(before: RouteConfig, after: RouteConfig) -> bool:
    """Whether the evidence is about another pair of versions, or is judged otherwise."""
    return (
        before.canary != after.canary
        or before.stable.origins != after.stable.origins
        or before.affinity != after.affinity
        or before.spec != after.spec
    )


WRITTEN = {"plan": "rollout.steps"}
"""What is heard under another name than it is written."""


@dataclass(frozen=True, slots=True)
class FollowedEdit:
    """What comes of an edit: the route's state, the `turns` of its rollout, the `notes` on the edit, and what is
    `changed` that a rollout has to follow.
    """

    state: RouteState
    turns: tuple[Notice, ...]
    notes: tuple[Notice, ...]
    changed: frozenset[str]

    @property
    def words(self) -> str:
        """For the book."""
        return "; ".join(one.words for one in (*self.turns, *self.notes))


def follow(before: RouteState, edit: Edit, plan: Callable[[], Plan], now: float, change: RolloutEvent) -> FollowedEdit:
    """What an edit does to a route: a rollout starts over for another canary, by the event `change`, and goes on by
    another plan.
    """
    changed = differing(before.heard, edit.is_immediate_change) - _back_again(before, edit)
    heard = _to_hear(before, edit)
    after = replace(before, heard=heard) if before.heard != heard else before
    turns: tuple[Notice, ...] = ()
    kind = _kind(before, edit, changed)
    if kind is not None:
        event = change if kind == "changed" else RolloutEvent(kind)
        rollout, turns = transition(plan(), before.rollout, event, now)
        after = after if rollout == before.rollout else with_rollout(after, rollout, event.report, now)
    return FollowedEdit(after, turns, _notes(after, edit, changed), changed)


def _to_hear(before: RouteState, edit: Edit) -> Mapping[str, str]:
    """With the canary that was there before it was removed, and what a later version had heard beside."""
    last = before.heard.get("canary") or before.heard.get("removed", "")
    heard = {**heard_later(before.heard), **edit.is_immediate_change}
    return {**heard, "removed": last} if last and not edit.is_immediate_change["canary"] else heard


def _back_again(before: RouteState, edit: Edit) -> frozenset[str]:
    """A canary that was taken back is no other one for having been away."""
    same = (
        bool(edit.is_immediate_change["canary"]) and before.heard.get("removed") == edit.is_immediate_change["canary"]
    )
    return frozenset(("canary",)) if same and before.rollout.phase == "rolled_back" else frozenset()


def _kind(before: RouteState, edit: Edit, changed: frozenset[str]) -> Kind | None:
    if "canary" in changed and edit.is_immediate_change["canary"] and before.heard.get("canary"):
        return "changed"
    return "edited" if "plan" in changed and before.rollout.phase in UNDER_WAY else None


def _notes(state: RouteState, edit: Edit, changed: frozenset[str]) -> tuple[Notice, ...]:
    """What there is to say of an edit, of which `changed` is what a rollout has to follow. Another canary, another
    plan, weights and rules have words of their own.
    """
    if not edit.by_file:
        return ()
    active = state.rollout.phase in UNDER_WAY
    by_effect: dict[str, list[str]] = {}
    for key in edit.keys or sorted(WRITTEN.get(one, one) for one in changed):
        effect = EFFECTS[key] if active or key not in PLAN else START
        if effect:
            by_effect.setdefault(effect, []).append(key)
    words = [f"{', '.join(keys)} of the config changed, {effect}" for effect, keys in by_effect.items()]
    severity: Severity = "info"
    if "analysis" in changed:
        off = edit.is_immediate_change["analysis"] == "off"
        severity = "warning" if active and off else "info"
        words.append(f"the canary is {'not judged any more, its steps go by the clock' if off else 'judged'}")
    elif active and (edit.over or "stable" in changed):
        words.append("the evidence about the canary starts over")
    return (Notice(severity, "; ".join(words)),) if words else ()


def waits(state: RouteState) -> str:
    """Why a weight of the file has no effect yet; empty where none waits."""
    if state.waiting is None:
        return ""
    until = "a weight set by hand, or `reset`" if state.latched else "`reset`"
    return f"the file's weight of {state.waiting / 100:g} % waits for {until}"
