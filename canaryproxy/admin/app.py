"""The aiohttp applications: the admin API, and the probes alone. One middleware checks hosts, turns errors into problem
details and sets security headers.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial

from aiohttp import web, web_response
from aiohttp.typedefs import Handler, Middleware

from canaryproxy.admin.api_call import ApiCall
from canaryproxy.admin.auth import Authenticator
from canaryproxy.admin.event_stream import stream
from canaryproxy.admin.metrics_endpoint import MetricsEndpoint
from canaryproxy.admin.operation import Operation
from canaryproxy.admin.operations import OPERATIONS
from canaryproxy.admin.problems import CONTENT_TYPE, ApiError
from canaryproxy.admin.read_responses import EncodedResponse, ReadResponder, send_response
from canaryproxy.admin.views import Views
from canaryproxy.control.route_states import Actor
from canaryproxy.model.client import plain
from canaryproxy.telemetry.read import exposition

log = logging.getLogger("canaryproxy")

MAX_BODY_BYTES = 256 * 1024
# Time for a request body to arrive.
BODY_TIMEOUT_SECONDS = 10.0

# Delay of the response to a failed login, against guessing.
LATE_SECONDS = 0.3

# Delayed responses at a time; further failed logins are refused at once. Valid tokens are never delayed.
MAX_LATE = 32

# Failed logins logged one by one within `LOG_PERIOD_SECONDS`; more are summed up.
MAX_LOGGED = 10
LOG_PERIOD_SECONDS = 10.0

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}

# The `Server` field: discloses no versions of libraries.
SERVER = "canaryproxy"

web_response.SERVER_SOFTWARE = SERVER  # type: ignore[attr-defined]  # aiohttp's responses to malformed requests bypass our code

VIEWS_KEY = web.AppKey("views", Views)
METRICS = web.AppKey("metrics", MetricsEndpoint)
READERS = web.AppKey("readers", ReadResponder)


def admin_application(views: Views, auth: Authenticator, scrapes: MetricsEndpoint | None = None) -> web.Application:
    """The admin API. `scrapes` shares metric renderings with the probes."""
    app = _application(views, auth, scrapes)
    app[READERS] = ReadResponder(views)
    for operation in OPERATIONS:
        app.router.add_route(operation.method, operation.path, partial(_operate, auth, operation))
        if operation.method == "GET":
            app.router.add_route("HEAD", operation.path, partial(_operate, auth, operation))
    app.router.add_get("/api/v1/events", partial(_events, auth), allow_head=False)
    app.router.add_get("/openapi.json", partial(_document, auth, ReadResponder.openapi))
    app.router.add_get("/docs", partial(_document, auth, ReadResponder.docs))
    return app


def probes_application(views: Views, scrapes: MetricsEndpoint | None = None) -> web.Application:
    """Health and metrics only, without authentication."""
    return _application(views, None, scrapes)


def scrapes_of(views: Views) -> MetricsEndpoint:
    """The metrics endpoint shared by all listeners."""
    plane = views.plane
    return MetricsEndpoint(
        views.facts,
        views.now,
        plane.rollouts.precedence,
        views.rejected_requests,
        lambda: (plane.tables.generation, plane.events.number),
    )


def _application(views: Views, auth: Authenticator | None, scrapes: MetricsEndpoint | None) -> web.Application:
    app = web.Application(middlewares=[_guarded(auth)], client_max_size=MAX_BODY_BYTES)
    app[VIEWS_KEY] = views
    app[METRICS] = scrapes or scrapes_of(views)
    app.on_shutdown.append(_stop)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)
    return app


async def _stop(app: web.Application) -> None:
    app[METRICS].stop()
    if READERS in app:
        app[READERS].stop()


class FailureLog:
    """Failed logins: delayed responses and log lines."""

    def __init__(self) -> None:
        self._waiting = 0
        self._logged = self._unlogged = 0
        self._over: asyncio.TimerHandle | None = None

    def record(self, request: web.Request) -> None:
        """Log the first failures of a period, later the number of others: guessed tokens must not flood the log."""
        if self._over is None:
            self._over = asyncio.get_running_loop().call_later(LOG_PERIOD_SECONDS, self._log_again)
        if self._logged < MAX_LOGGED:
            self._logged += 1
            log.warning("login from %s failed: %s %s", _from(request), request.method, request.rel_url.path)
        else:
            self._unlogged += 1

    def _log_again(self) -> None:
        unlogged, self._logged, self._unlogged, self._over = self._unlogged, 0, 0, None
        if unlogged:
            fields = {"failed": unlogged}
            log.warning("%d more logins failed in %g s", unlogged, LOG_PERIOD_SECONDS, extra={"fields": fields})

    async def delayed(self, problem: ApiError) -> ApiError:
        """The problem to answer, after a delay."""
        if self._waiting >= MAX_LATE:
            return ApiError("too-many-requests", "too many failed logins", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            await asyncio.sleep(LATE_SECONDS)
        finally:
            self._waiting -= 1
        return problem


def _guarded(auth: Authenticator | None) -> Middleware:
    failures = FailureLog()

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if auth is not None:
                auth.check_host(request.host or "", request.headers.get("Origin"))
            response = await handler(request)
        except ApiError as problem:
            # A request without a token is no guess: it is answered at once.
            if problem.slug == "unauthenticated" and "Authorization" in request.headers:
                failures.record(request)
                problem = await failures.delayed(problem)
            response = _problem(problem)
        except web.HTTPException as error:
            response = _problem(_of(error))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.rel_url.path)
            response = _problem(ApiError("internal-error", "see the log of the proxy"))
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    return guarded


def _from(request: web.Request) -> str:
    """The client address of a request."""
    return plain(request.remote or "")


def _problem(problem: ApiError) -> web.Response:
    headers = dict(problem.headers)
    return web.Response(body=problem.body(), status=problem.status, content_type=CONTENT_TYPE, headers=headers)


def _of(error: web.HTTPException) -> ApiError:
    """An aiohttp error as a problem."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return ApiError("method-not-allowed", headers={"Allow": ", ".join(sorted(error.allowed_methods))})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return ApiError("too-large", f"at most {MAX_BODY_BYTES} bytes")
    if error.status == web.HTTPNotFound.status_code:
        return ApiError("not-found", "GET /docs lists all paths")
    return ApiError("malformed", error.reason)


async def _operate(auth: Authenticator, operation: Operation, request: web.Request) -> web.StreamResponse:
    actor = auth.authenticate(request.headers.get("Authorization"), _from(request))
    auth.authorize(actor, operation.role)
    call = await _call(operation, request, actor)
    if operation.role == "write":
        call.views.require_started()
        # Readers and renderings pause while a change is made.
        with call.views.plane.rollouts.precedence.change():
            encoded = EncodedResponse.of(await operation.run(call))
        return await send_response(request, encoded, HEADERS)
    return await request.app[READERS].answer(request, operation, call, HEADERS)


async def _call(operation: Operation, request: web.Request, actor: Actor) -> ApiCall:
    body: object = {} if operation.optional else None
    if operation.body is not None and (request.can_read_body or not operation.optional):
        if request.content_type != "application/json":
            raise ApiError("not-json", "send Content-Type: application/json")
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                body = parsed(await request.read())
        except TimeoutError:
            raise ApiError("too-slow") from None
    return ApiCall(
        request.app[VIEWS_KEY],
        actor,
        dict(request.match_info),
        dict(request.query),
        body,
        ", ".join(request.headers.getall("If-Match")) if "If-Match" in request.headers else None,
    )


def parsed(data: bytes) -> object:
    """Decode JSON in UTF-8. Raises `ApiError`."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ApiError("malformed", "the body is not JSON in UTF-8") from None


async def _events(auth: Authenticator, request: web.Request) -> web.StreamResponse:
    actor = auth.authenticate(request.headers.get("Authorization"), _from(request))
    auth.authorize(actor, "read")
    owner = actor.name if auth.guarded else ""
    return await stream(request, request.app[VIEWS_KEY].plane.events, HEADERS, owner)


async def _document(
    auth: Authenticator, made: Callable[..., EncodedResponse], request: web.Request
) -> web.StreamResponse:
    return await send_response(request, made(request.app[READERS], guarded=auth.guarded), HEADERS)


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


async def _readyz(request: web.Request) -> web.Response:
    views = request.app[VIEWS_KEY]
    if not views.ready:
        raise ApiError("not-ready", f"{views.workers.ready} of {views.workers.count} workers serve")
    return web.json_response({"status": "ready", "workers": views.workers.ready, "listen": list(views.addresses())})


async def _metrics(request: web.Request) -> web.StreamResponse:
    form = exposition.negotiate(request.headers.get("Accept", ""))
    return await request.app[METRICS].answer(request, form, HEADERS)
