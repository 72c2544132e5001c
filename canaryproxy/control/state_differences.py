"""Texts for what another config has changed in the state of routes, for log, history and events. Pure."""

from collections.abc import Mapping

from canaryproxy.control.config_edits import waits
from canaryproxy.control.state import RouteState
from canaryproxy.rollout.state import Notice, Severity, failure_text


def differences(before: Mapping[str, RouteState], after: Mapping[str, RouteState]) -> dict[str, Notice]:
    """What a config has changed in each route."""
    changed = {name: _heard(before.get(name), one) for name, one in after.items() if before.get(name) != one}
    said = {name: one for name, one in changed.items() if one is not None}
    return said | {name: _gone(before[name]) for name in before.keys() - after.keys()}


def _heard(before: RouteState | None, after: RouteState) -> Notice | None:
    """None where nothing was edited: an older version did not store what the file says of the canary."""
    if before is None:
        return Notice(
            "info", "new route, without a canary" if after.plain else f"new route, weight {after.weight / 100:g}"
        )
    words = _of_canary(before, after)
    ended = after.rollout.phase == "rolled_back" != before.rollout.phase
    severity: Severity = "warning" if ended else "info"
    if after.plain and after.canary is not None and before.file_weight != after.file_weight:
        words.append(
            f"the file's weight of {after.file_weight / 100:g} % has no effect: the API says there is no canary"
        )
    elif before.weight != after.weight:
        words.append(f"weight {before.weight / 100:g} -> {after.weight / 100:g}")
    elif after.waiting is not None and before.waiting != after.waiting:
        severity = "warning"
        words.append(waits(after))
    elif before.waiting != after.waiting:
        words.append("the file's weight is what it was, none waits")
    if before.file_rules != after.file_rules:
        words.append("rules of the file" if before.rules is None else "rules of the file, in place of the API's")
    if not words and before.file_weight == after.file_weight:
        return None
    return Notice(severity, "; ".join(words) or "weight of the file, as it was")


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
        return Notice("info", "the route has left the config, and is forgotten")
    words = f"the route has left the config, and with it its rollout: {rollout.phase}, {failure_text(rollout)}"
    return Notice("warning", f"{words}, {before.weight / 100:g} % to the canary")
