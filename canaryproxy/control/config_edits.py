"""The effects of an edited config on a route, key by key, in any phase of its rollout. Pure.

Every key has a row in `EFFECTS`: an edit is applied or waits, and is always reported. Another canary, another plan and
a waiting weight change the state (`canaryproxy.rollout`, `control.state`); everything else is read from the config by
the next table, judge or tick.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from canaryproxy.config import Config
from canaryproxy.config.schema.rollout import RolloutConfig
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.control.fingerprint import HEARD, heard_of
from canaryproxy.control.state import RouteState, with_rollout
from canaryproxy.model.document import unknown
from canaryproxy.rollout.machine import transition
from canaryproxy.rollout.plan import Plan
from canaryproxy.rollout.state import UNDER_WAY, Kind, Notice, RolloutEvent, Severity, step_text

REQUEST = "from the next request on"
NOW = "from now on"
START = "for the next start"

GROUPS = {
    "": "weight rules rollout.steps rollout.every rollout.step_timeout",
    REQUEST: "hosts paths stable canary affinity mirror shield fallback goals upgrades headers",
    NOW: "analysis rollout.bake rollout.prove_above rollout.on_timeout rollout.rollback_step rollout.max_duration "
    "rollout.max_failed rollout.dry_run",
    "for the next canary": "rollout.start",
    "for every call from now on": "rollout.hooks",
    "for every message from now on": "rollout.notify",
}
# When an edit of a key takes effect; empty where another text says so.
EFFECTS = {key: effect for effect, keys in GROUPS.items() for key in keys.split()}

# The keys of a rollout's plan.
PLAN = ("rollout.steps", "rollout.every", "rollout.step_timeout")


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    """The keys whose text has changed. A key that an older version did not store is no edit."""
    return frozenset(key for key, value in after.items() if before.get(key, value) != value)


@dataclass(frozen=True, slots=True)
class Edit:
    """The differences between two configs of a route: the texts `heard` of the new one, the edited `keys` as written
    (`shield`, `rollout.bake`), and whether the evidence about the canary starts `over`. Edits over the API are not
    `by_file` and are reported there.
    """

    heard: Mapping[str, str]
    keys: tuple[str, ...] = ()
    over: bool = False
    by_file: bool = True


def compare(before: Config | None, after: Config) -> dict[str, Edit]:
    """The edits of each route. Without the config `before` only the stored texts can be compared."""
    known: Mapping[str, RouteConfig] = {} if before is None else before.routes
    return {name: compared(known.get(name), route) for name, route in after.routes.items()}


def compare_again(found: Mapping[str, Edit], before: Config, guessed: Config, after: Config) -> dict[str, Edit]:
    """Update the edits `found` for `guessed` to `after`, which differs in canaries only."""
    others = [name for name, route in after.routes.items() if route.canary is not guessed.routes[name].canary]
    return {**found, **{name: compared(before.routes.get(name), after.routes[name]) for name in others}}


def compared(before: RouteConfig | None, after: RouteConfig) -> Edit:
    """The edits of one route."""
    if before is None or before == after:
        return Edit(heard_of(after))
    return Edit(heard_of(after), tuple(_keys(before, after)), _over(before, after))


def _keys(before: RouteConfig, after: RouteConfig) -> Iterator[str]:
    for name in RouteConfig.model_fields:
        was, now = getattr(before, name), getattr(after, name)
        if name == "rollout":
            keys = RolloutConfig.model_fields
            yield from (f"rollout.{key}" for key in keys if getattr(was, key) != getattr(now, key))
        elif was != now:
            yield name


def _over(before: RouteConfig, after: RouteConfig) -> bool:
    """Whether the evidence is about other versions, or is judged differently."""
    same_judge = before.affinity == after.affinity and before.spec == after.spec
    return before.canary != after.canary or before.stable.origins != after.stable.origins or not same_judge


# Keys of `heard` that differ from the config's.
WRITTEN = {"plan": "rollout.steps"}


@dataclass(frozen=True, slots=True)
class FollowedEdit:
    """The state after an edit, the `turns` of its rollout, `notes` on the edit, and the `changed` keys."""

    state: RouteState
    turns: tuple[Notice, ...]
    notes: tuple[Notice, ...]
    changed: frozenset[str]

    @property
    def words(self) -> str:
        """The text for the audit history."""
        return "; ".join(one.words for one in (*self.turns, *self.notes))


def follow(before: RouteState, edit: Edit, plan: Callable[[], Plan], now: float, change: RolloutEvent) -> FollowedEdit:
    """Apply an edit: a rollout restarts for another canary, by the event `change`, and adopts another plan."""
    changed = differing(before.heard, edit.heard) - _back_again(before, edit)
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
    """The texts to store: with the removed canary, and with the keys of a later version."""
    last = before.heard.get("canary") or before.heard.get("removed", "")
    heard = {**unknown(before.heard, HEARD), **edit.heard}
    return {**heard, "removed": last} if last and not edit.heard["canary"] else heard


def _back_again(before: RouteState, edit: Edit) -> frozenset[str]:
    """A canary that was removed and added again, unchanged, is not another canary."""
    same = bool(edit.heard["canary"]) and before.heard.get("removed") == edit.heard["canary"]
    return frozenset(("canary",)) if same and before.rollout.phase == "rolled_back" else frozenset()


def _kind(before: RouteState, edit: Edit, changed: frozenset[str]) -> Kind | None:
    if "canary" in changed and edit.heard["canary"] and before.heard.get("canary"):
        return "changed"
    return "edited" if "plan" in changed and before.rollout.phase in UNDER_WAY else None


def _notes(state: RouteState, edit: Edit, changed: frozenset[str]) -> tuple[Notice, ...]:
    """The notices about an edit. Another canary, another plan, weights and rules have texts of their own."""
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
        off = edit.heard["analysis"] == "off"
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


def differences(before: Mapping[str, RouteState], after: Mapping[str, RouteState]) -> dict[str, Notice]:
    """What a config has changed in each route."""
    changed = {name: _notice_of(before.get(name), one) for name, one in after.items() if before.get(name) != one}
    notices = {name: one for name, one in changed.items() if one is not None}
    return notices | {name: _gone(before[name]) for name in before.keys() - after.keys()}


def _notice_of(before: RouteState | None, after: RouteState) -> Notice | None:
    """None where nothing was edited: an older version did not store what the file says of the canary."""
    if before is None:
        return Notice("info", f"new route, {'without a canary' if after.plain else f'weight {after.weight / 100:g}'}")
    words = _of_canary(before, after)
    ended = after.rollout.phase == "rolled_back" != before.rollout.phase
    severity: Severity = "warning" if ended else "info"
    if after.plain and after.canary is not None and before.file_weight != after.file_weight:
        weight = f"the file's weight of {after.file_weight / 100:g} %"
        words.append(f"{weight} has no effect: the canary was removed through the API")
    elif before.weight != after.weight:
        words.append(f"weight {before.weight / 100:g} -> {after.weight / 100:g}")
    elif after.waiting is not None and before.waiting != after.waiting:
        severity = "warning"
        words.append(waits(after))
    elif before.waiting != after.waiting:
        words.append("the file's weight is the old one again, none waits")
    if before.file_rules != after.file_rules:
        words.append("rules of the file" if before.rules is None else "rules of the file, in place of the API's")
    if not words and before.file_weight == after.file_weight:
        return None
    return Notice(severity, "; ".join(words) or "weight of the file, unchanged")


def _of_canary(before: RouteState, after: RouteState) -> list[str]:
    if before.plain != after.plain:
        ended = f": {after.rollout.why}" if after.rollout != before.rollout and after.rollout.why else ""
        return [f"no canary any more{ended}" if after.plain else "a canary"]
    if before.file_canary is None or before.file_canary == after.file_canary:
        return []
    return ["another canary of the file" if before.canary is None else "the canary of the file, in place of the API's"]


def _gone(before: RouteState) -> Notice:
    """A removed route. A renamed one counts as removed and added."""
    rollout = before.rollout
    if rollout.phase == "idle":
        return Notice("info", "route removed from the config")
    words = f"route removed from the config, and with it its rollout: {rollout.phase}, {step_text(rollout)}"
    return Notice("warning", f"{words}, {before.weight / 100:g} % to the canary")
