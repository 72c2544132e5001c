"""API operations on the canary of a route: show, set, remove."""

import asyncio
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from canaryproxy.admin.api_call import ApiCall, ApiResponse, after_change, tag, tagged
from canaryproxy.admin.models import Model, Phase
from canaryproxy.admin.problems import ApiError
from canaryproxy.config.canary_document import NO_CANARY, CanaryDocument, InvalidVersionError, canary_set
from canaryproxy.config.schema.section import as_written


class Canary(Model):
    """The canary of a route as in the configuration; null without a canary."""

    route: str
    canary: dict[str, Any] | None
    source: Literal["file", "api"] = Field(description="Where the canary was configured or removed.")


class CanaryChanged(Canary):
    """A canary that every worker uses."""

    weight: float
    phase: Phase
    generation: int


async def show_canary(call: ApiCall) -> ApiResponse:
    """The canary and its source."""
    views, route = call.views, call.route
    source = views.plane.ledger.state[route].canary_source
    return ApiResponse(Canary(route=route, canary=views.canary(route), source=source), headers=tagged(call))


async def put_canary(call: ApiCall) -> ApiResponse:
    """Set the canary. Files that it names are read in a thread: a disk may hang."""
    route, new = call.route, not call.views.has_canary(call.route)
    try:
        canary = await asyncio.to_thread(canary_set, call.body)
    except InvalidVersionError as error:
        errors = [{"path": path, "problem": text} for path, text in error.problems]
        raise ApiError("invalid", str(error), {"errors": errors}) from None
    return replace(await _set_canary(call, route, canary), status=201 if new else 200)


async def delete_canary(call: ApiCall) -> ApiResponse:
    """Remove the canary."""
    return await _set_canary(call, call.route, NO_CANARY)


async def _set_canary(call: ApiCall, route: str, canary: CanaryDocument) -> ApiResponse:
    views = call.views
    changed = await after_change(call, views.plane.reconfiguration.set_canary(route, canary, call.actor, call.revision))
    state = views.plane.ledger.state[call.route]
    body = CanaryChanged(
        route=route,
        canary=None if canary.version is None else as_written(canary.version),
        source="api",
        weight=state.weight / 100,
        phase=state.rollout.phase,
        generation=changed.generation,
    )
    return ApiResponse(body, headers={"ETag": tag(changed.revision)})
