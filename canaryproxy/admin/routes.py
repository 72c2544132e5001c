"""Routes: their state, weight, statistics and audit log."""

from canaryproxy.admin import models
from canaryproxy.admin.api_call import ApiCall, ApiResponse, after_change, tag
from canaryproxy.admin.operation import ROUTE, Operation, change_of, checked, read, shown
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.views import ROUTES_PER_TURN, entry
from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.quantity import duration
from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.telemetry.read.window import MAX_WINDOW_SECONDS

MIN_WINDOW_SECONDS = 1.0
DEFAULT_WINDOW_SECONDS = "60s"

# History entries in one response.
MAX_ENTRIES = 1000


async def _routes(call: ApiCall) -> ApiResponse:
    views = call.views
    views.require_state()
    routes = []
    for number, name in enumerate(list(views.plane.topology.config.routes)):
        if number % ROUTES_PER_TURN == ROUTES_PER_TURN - 1:
            await views.plane.rollouts.precedence.breathe()
        if name in views.plane.topology.config.routes:
            routes.append(views.route(name))
    return ApiResponse(models.Routes(generation=views.plane.tables.generation, routes=routes))


async def _set_weight(call: ApiCall) -> ApiResponse:
    route = call.route
    points = checked(models.WeightBody, call.body).basis_points
    change = call.views.plane.controller.set_weight(route, points, call.actor, call.revision)
    changed = await after_change(call, change)
    canary, stable = points / 100, (FULL_WEIGHT - points) / 100
    weight = models.Weight(route=route, canary=canary, stable=stable, generation=changed.generation, source="api")
    return ApiResponse(weight, headers={"ETag": tag(changed.revision)})


def _stats(call: ApiCall) -> models.Stats:
    route = call.route
    try:
        seconds = duration(MIN_WINDOW_SECONDS, MAX_WINDOW_SECONDS)(call.query.get("window", DEFAULT_WINDOW_SECONDS))
    except InvalidValueError as wrong:
        raise ApiError("invalid", f"window: {wrong.hint}") from None
    return call.views.stats(route, seconds)


async def _history(call: ApiCall) -> ApiResponse:
    route = call.route
    asked = call.query.get("limit", "100")
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= 4 and 1 <= int(asked) <= MAX_ENTRIES):
        raise ApiError("invalid", f"limit: expected a whole number from 1 to {MAX_ENTRIES}")
    try:
        audits = await call.views.plane.ledger.history(route, int(asked))
    except UnwritableStateError as error:
        raise ApiError("state-unwritable", str(error)) from None
    return ApiResponse(models.HistoryDocument(route=route, entries=list(map(entry, audits))))


OPERATIONS = (
    Operation("GET", "/api/v1/routes", "All routes with their full state", "read", _routes, models.Routes, same=True),
    read("", "One route", shown(lambda call: call.views.route(call.route), tag=True), models.RouteDocument),
    change_of("PUT", "/weight", "Set the weight of the canary", _set_weight, models.Weight, models.WeightBody),
    read("/stats", "Recent statistics of both versions", shown(_stats), models.Stats, "invalid", query=("window",)),
    Operation(
        "GET",
        f"{ROUTE}/history",
        "Audit log of the route, newest first",
        "read",
        _history,
        models.HistoryDocument,
        problems=("no-such-route", "invalid", "state-unwritable"),
        query=("limit",),
        lane="history",
    ),
)
