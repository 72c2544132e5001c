"""Goals: business events of a route that are reported from outside."""

from canaryproxy.admin import models
from canaryproxy.admin.api_call import ApiCall, ApiResponse, tagged
from canaryproxy.admin.operation import BODY_PROBLEMS, ROUTE, Operation, checked
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.views import Views
from canaryproxy.model.report import GoalDelta
from canaryproxy.model.table import FULL_WEIGHT, Route
from canaryproxy.routing.affinity import salt_of
from canaryproxy.routing.hashing import Hash
from canaryproxy.telemetry.record.histogram import value_bucket


async def _reach_goal(call: ApiCall) -> ApiResponse:
    route, body = call.route, checked(models.GoalBody, call.body)
    _ = call.revision  # a stale `If-Match` is refused here as everywhere
    return ApiResponse(count_goal(call.views, route, body), headers=tagged(call))


def count_goal(views: Views, name: str, body: models.GoalBody) -> models.GoalCounted:
    """Count a business event of a version, or of a user by affinity key. Raises `ApiError`."""
    route = next(one for one in views.plane.tables.table.routes if one.name == name)
    known = [goal.name for goal in route.goals]
    if body.goal not in known:
        raise ApiError("no-such-goal", f"goals of {name} are: {', '.join(known) or 'none'}")
    if (body.version is None) == (body.key is None):
        raise ApiError("invalid", "give either `version` or `key` (the affinity key of the user)")
    if body.version == "canary" and route.canary is None:
        raise ApiError("no-canary", f"{name} has no canary that could have caused the event")
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
    """The user number of an affinity key and the version that served the user last, or would now. Raises `ApiError`."""
    if route.affinity is None:
        raise ApiError("no-affinity", f"{route.name} has no affinity, so users are unknown; give `version`")
    hashed = Hash(salt_of(route.salt or route.name)).of(key.encode("utf-8"))
    user = views.numbers.of(hashed)
    last = views.plane.users.version_of(route.name, user)
    if last is not None:
        return user, "canary" if last == "canary" else "stable"
    return user, "canary" if hashed % FULL_WEIGHT < route.weight and not route.aborted else "stable"


OPERATIONS = (
    Operation(
        "POST",
        f"{ROUTE}/goals",
        "Report a business event from outside",
        "write",
        _reach_goal,
        models.GoalCounted,
        models.GoalBody,
        ("forbidden", "malformed", *BODY_PROBLEMS, "revision-conflict", "no-such-route", "no-such-goal", "no-affinity"),
    ),
)
