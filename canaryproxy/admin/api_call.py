"""A call of the API and its response: actor, parameters, precondition (`ETag` and `If-Match`), failures of a change."""

import re
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from canaryproxy.admin import models
from canaryproxy.admin.problems import ApiError
from canaryproxy.admin.views import Views
from canaryproxy.control.ports import UnwritableStateError
from canaryproxy.control.results import NoCanaryError, NoSuchRouteError
from canaryproxy.control.route_states import Actor, RevisionConflictError
from canaryproxy.processes.workers import NotAcknowledgedError
from canaryproxy.rollout.state import IllegalTransitionError

Result = TypeVar("Result")

# An entity tag (RFC 9110 8.8.3); it may contain a comma.
ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def tag(revision: int) -> str:
    """The entity tag of a route at a revision. Revisions are stored, so a tag stays valid across restarts."""
    return f'"{revision:x}"'


def entity_tags(field: str) -> frozenset[str] | None:
    """The tags of an `If-Match` field, None for `*`. Raises `ApiError` for a malformed list."""
    # Comparison is strong (RFC 9110 13.1.1), so weak tags are kept as they are and match nothing.
    if field.strip(" \t") == "*":
        return None
    found, rest = [], field.strip(", \t")
    while (one := ENTITY_TAG.match(rest)) is not None:
        found.append(one[0])
        after = rest[one.end() :].lstrip(" \t")
        if not after:
            return frozenset(found)
        rest = after.lstrip(", \t") if after.startswith(",") else ""
    raise ApiError("malformed", 'If-Match: expected * or tags in quotes, as ETag gives them, such as "64f3a1b2c3d4e"')


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request as an operation sees it. `body` is the parsed JSON, None without a body."""

    views: Views
    actor: Actor
    path: dict[str, str]
    query: dict[str, str]
    body: object = None
    if_match: str | None = None

    @property
    def route(self) -> str:
        """Name of the route in the path. Raises `ApiError` for an unknown route."""
        return self.views.known(self.path["route"])

    @property
    def revision(self) -> int | None:
        """The route's revision if `If-Match` names it, None without `If-Match`. Raises `ApiError` on a mismatch."""
        wanted = None if self.if_match is None else entity_tags(self.if_match)
        revision = self.views.plane.ledger.revision(self.route)
        if wanted is not None and tag(revision) not in wanted:
            raise _conflict(self)
        return None if wanted is None else revision


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """The response of an operation."""

    body: models.Model
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def tagged(call: ApiCall) -> dict[str, str]:
    """The `ETag` field of the route's current revision."""
    return {"ETag": tag(call.views.plane.ledger.revision(call.route))}


def _conflict(call: ApiCall) -> ApiError:
    return ApiError("revision-conflict", "read the route again, then repeat the change", headers=tagged(call))


async def after_change(call: ApiCall, change: Awaitable[Result]) -> Result:
    """Await a change. Raises `ApiError` for each way in which it can fail."""
    try:
        return await change
    except NoSuchRouteError:
        raise ApiError("no-such-route", "the route was just removed from the configuration") from None
    except RevisionConflictError:
        raise _conflict(call) from None
    except NoCanaryError as error:
        raise ApiError("no-canary", str(error)) from None
    except IllegalTransitionError as error:
        raise ApiError("illegal-phase", str(error)) from None
    except UnwritableStateError as error:
        raise ApiError("state-unwritable", f"nothing was changed: {error}", headers={"Retry-After": "5"}) from None
    except NotAcknowledgedError as error:
        raise ApiError("not-acknowledged", f"stored and published, but {error}") from None
