"""Business events that are reported from outside: for a version, or for a user by the key of their affinity."""

from canaryproxy.admin import models
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.views import Views
from canaryproxy.model.report import GoalDelta
from canaryproxy.model.table import FULL_WEIGHT, Route
from canaryproxy.routing.affinity import salt_of
from canaryproxy.routing.hashing import Hash
from canaryproxy.telemetry.record.histogram import value_bucket


def report(views: Views, name: str, body: models.GoalBody) -> models.GoalCounted:
    """Count an event as if the traffic had shown it. Raises `ApiError`."""
    route = next(one for one in views.plane.tables.table.routes if one.name == name)
    known = [goal.name for goal in route.goals]
    if body.goal not in known:
        raise ApiError("no-such-goal", f"goals of {name} are: {', '.join(known) or 'none'}")
    if (body.version is None) == (body.key is None):
        raise ApiError("invalid", "give `version`, or `key` with the affinity key of the user")
    if body.version == "canary" and route.canary is None:
        raise ApiError("no-canary", f"{name} has no canary whose event it could be")
    user, version = 0, body.version
    if body.key is not None:
        user, version = _user(views, route, body.key)
    side, now, plane = (name, version or "stable"), views.now(), views.plane
    plane.counters.goal_reached(side, body.goal, 1, body.value)
    event = GoalDelta(*side, body.goal, True, 1, body.value, {value_bucket(body.value): 1})
    plane.window.goal_reached(event, now)
    plane.judges.goal_reached(event)
    if user:
        plane.judges.users_seen(plane.users.goal_reached((*side, body.goal), {user: body.value}, 0, now))
    return models.GoalCounted(route=name, goal=body.goal, version=side[1], value=body.value)


def _user(views: Views, route: Route, key: str) -> tuple[int, models.VersionName]:
    """A user, and the version that had them last; who was never here is counted where they would be sent now."""
    if route.affinity is None:
        raise ApiError("no-affinity", f"{route.name} knows no users; give `version`")
    hashed = Hash(salt_of(route.salt or route.name)).of(key.encode("utf-8"))
    user = views.numbers.of(hashed)
    last = views.plane.users.version_of(route.name, user)
    if last is not None:
        return user, "canary" if last == "canary" else "stable"
    return user, "canary" if hashed % FULL_WEIGHT < route.weight and not route.aborted else "stable"
