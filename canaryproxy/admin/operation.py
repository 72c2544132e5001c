"""An operation of the API: method, path, role, request, effect, response and possible problems."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from canaryproxy.admin import models
from canaryproxy.admin.api_call import ApiCall, ApiResponse, tagged
from canaryproxy.admin.problems import ApiError

Role = Literal["read", "write"]
Body = TypeVar("Body", bound=models.Model)
Answer = type[models.Model]
BodyModel = type[models.Model] | Literal["rule", "canary"] | None
Handler = Callable[[ApiCall], Awaitable[ApiResponse]]

ROUTE = "/api/v1/routes/{route}"

BODY_PROBLEMS = ("not-json", "too-large", "invalid")
STORE_PROBLEMS = ("state-unwritable", "not-acknowledged")
CHANGE_PROBLEMS = (
    "forbidden",
    "malformed",
    "no-such-route",
    "revision-conflict",
    "illegal-phase",
    "no-canary",
    *STORE_PROBLEMS,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """A method and path. `problems` are the problem slugs that this operation may answer in addition to the common
    ones; `optional`: the body may be left out; `same`: the response is the same for all readers and is computed once.
    Readers queue for their turn, separately for each `lane`.
    """

    method: str
    path: str
    summary: str
    role: Role
    run: Handler
    answer: Answer
    body: BodyModel = None
    problems: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    status: int = 200
    optional: bool = False
    same: bool = False
    lane: str = "read"


def checked(model: type[Body], body: object) -> Body:
    """The request body as its model. Raises `ApiError` (422) with a path and a problem for each error."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    raise invalid_body([(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in found])


def invalid_body(problems: Iterable[tuple[str, str]], detail: str = "") -> ApiError:
    """A 422 response. `problems` are (path in the body, what is wrong)."""
    errors = [{"path": path, "problem": text} for path, text in problems]
    text = "; ".join(f"{one['path'] or 'body'}: {one['problem']}" for one in errors)
    return ApiError("invalid", detail or text, {"errors": errors})


def shown(make: Callable[[ApiCall], models.Model], *, tag: bool = False) -> Handler:
    """A handler that responds with the document of `make`; `tag`: with the entity tag of the route."""

    async def run(call: ApiCall) -> ApiResponse:
        return ApiResponse(make(call), headers=tagged(call) if tag else {})

    return run


def read(path: str, summary: str, run: Handler, answer: Answer, *problems: str, **more: Any) -> Operation:
    """A GET below a route."""
    return Operation("GET", ROUTE + path, summary, "read", run, answer, problems=("no-such-route", *problems), **more)


def change_of(
    method: str, path: str, summary: str, run: Handler, answer: Answer, body: BodyModel, *problems: str, **more: Any
) -> Operation:
    """An operation that changes a route."""
    slugs = (*CHANGE_PROBLEMS, *(() if body is None else BODY_PROBLEMS), *problems)
    return Operation(method, ROUTE + path, summary, "write", run, answer, body, slugs, **more)
