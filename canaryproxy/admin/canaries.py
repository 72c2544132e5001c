"""The canary of a route."""

import asyncio
from dataclasses import replace

from canaryproxy.admin import models
from canaryproxy.admin.api_call import ApiCall, ApiResponse, after_change, tag
from canaryproxy.admin.operation import change_of, invalid_body, read, shown
from canaryproxy.config.canary_document import NO_CANARY, CanaryDocument, canary_set
from canaryproxy.config.schema.section import InvalidDocumentError, as_written


def _canary(call: ApiCall) -> models.Canary:
    views, route = call.views, call.route
    source = views.plane.ledger.state[route].canary_source
    return models.Canary(route=route, canary=views.canary(route), source=source)


async def _put_canary(call: ApiCall) -> ApiResponse:
    # in a thread: the files of `tls` may lie on a disk that hangs
    route, new = call.route, not call.views.has_canary(call.route)
    try:
        canary = await asyncio.to_thread(canary_set, call.body)
    except InvalidDocumentError as error:
        raise invalid_body(error.problems, str(error)) from None
    return replace(await _set_canary(call, route, canary), status=201 if new else 200)


async def _delete_canary(call: ApiCall) -> ApiResponse:
    return await _set_canary(call, call.route, NO_CANARY)


async def _set_canary(call: ApiCall, route: str, canary: CanaryDocument) -> ApiResponse:
    views = call.views
    changed = await after_change(call, views.plane.reconfiguration.set_canary(route, canary, call.actor, call.revision))
    state = views.plane.ledger.state[call.route]
    body = models.CanaryChanged(
        route=route,
        canary=None if canary.version is None else as_written(canary.version),
        source="api",
        weight=state.weight / 100,
        phase=state.rollout.phase,
        generation=changed.generation,
    )
    return ApiResponse(body, headers={"ETag": tag(changed.revision)})


OPERATIONS = (
    read("/canary", "The canary and its source", shown(_canary, tag=True), models.Canary),
    change_of("PUT", "/canary", "Set the canary; it starts at weight 0", _put_canary, models.CanaryChanged, "canary"),
    change_of("DELETE", "/canary", "Remove a canary without traffic", _delete_canary, models.CanaryChanged, None),
)
