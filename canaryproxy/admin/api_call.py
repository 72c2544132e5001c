"""A call of the API and its answer: who asks for what, building upon which revision, and how a change may fail."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from canaryproxy.admin import models
from canaryproxy.admin.preconditions import entity_tags, tag
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.views import Views
from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.control.results import NoCanaryError, NoSuchRouteError
from canaryproxy.control.route_states import Actor, RevisionConflictError
from canaryproxy.processes.workers import NotAcknowledgedError
from canaryproxy.rollout.state import IllegalTransitionError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request as an operation sees it. `body` is the parsed JSON, None without one."""

    views: Views
    actor: Actor
    path: dict[str, str]
    query: dict[str, str]
    body: object = None
    if_match: str | None = None

    @property
    def route(self) -> str:
        """The route in the path. Raises `ApiError` for an unknown one."""
        return self.views.known(self.path["route"])

    @property
    def revision(self) -> int | None:
        """The revision that the caller builds upon, None if it did not say. Raises `ApiError` where it is none."""
        wanted = None if self.if_match is None else entity_tags(self.if_match)
        revision = self.views.plane.ledger.revision(self.route)
        if wanted is not None and tag(revision) not in wanted:
            raise ApiError("revision-conflict", "read the route again", headers=tagged(self))
        return None if wanted is None else revision


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What an operation says."""

    body: models.Model
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def tagged(call: ApiCall) -> dict[str, str]:
    """The entity tag of the route as it is now."""
    return {"ETag": tag(call.views.plane.ledger.revision(call.route))}


async def after_change(call: ApiCall, change: Awaitable[Result]) -> Result:
    """The outcome of a change, its failures as problems."""
    try:
        return await change
    except NoSuchRouteError:
        raise ApiError("no-such-route", "it has just left the config") from None
    except RevisionConflictError:
        raise ApiError("revision-conflict", "read the route again", headers=tagged(call)) from None
    except NoCanaryError as error:
        raise ApiError("no-canary", str(error)) from None
    except IllegalTransitionError as error:
        raise ApiError("illegal-phase", str(error)) from None
    except UnwritableStateError as error:
        raise ApiError("state-unwritable", f"nothing was changed: {error}", headers={"Retry-After": "5"}) from None
    except NotAcknowledgedError as error:
        raise ApiError("not-acknowledged", f"kept and published, but {error}") from None
