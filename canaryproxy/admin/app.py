"""The aiohttp applications: the whole API, and the probes alone. Every answer passes through one middleware, which
checks who asks, bounds what they send, and makes problems of errors.
"""

import asyncio
import json
import logging
from functools import partial

from aiohttp import web, web_response
from aiohttp.typedefs import Handler, Middleware

from canaryproxy.admin.auth import Gate
from canaryproxy.admin.calls import Call
from canaryproxy.admin.operations import OPERATIONS, Operation
from canaryproxy.admin.problems import CONTENT_TYPE, Problem
from canaryproxy.admin.reading import Reading, Written, sent
from canaryproxy.admin.scrapes import Scrapes
from canaryproxy.admin.stream import stream
from canaryproxy.admin.views import Knowledge
from canaryproxy.control.route_states import Actor
from canaryproxy.model.client import plain
from canaryproxy.telemetry.read import exposition

log = logging.getLogger("canaryproxy")

LARGEST_BODY = 256 * 1024
BODY_PATIENCE = 10.0
"""Seconds for a body to arrive."""

LATE = 0.3
"""Seconds that the answer to a failed login takes."""

MOST_LATE = 32
"""Failed logins that may wait for their answer; more are refused at once. A good token is never kept waiting."""

MOST_SAID = 10
SAID_PERIOD = 10.0
"""Failed logins that have a line each in the log, in so many seconds."""

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}

SERVER = "canaryproxy"
"""The `Server` field: no versions of what we are made of."""

web_response.SERVER_SOFTWARE = SERVER  # type: ignore[attr-defined]  # its own answers to malformed requests pass through no code of ours

KNOWLEDGE = web.AppKey("knowledge", Knowledge)
SCRAPES = web.AppKey("scrapes", Scrapes)
READING = web.AppKey("reading", Reading)


def admin_application(knowledge: Knowledge, gate: Gate, scrapes: Scrapes | None = None) -> web.Application:
    """The admin API. `scrapes` are those of the probes, which get the same renderings."""
    app = _application(knowledge, gate, scrapes)
    app[READING] = Reading(knowledge)
    for operation in OPERATIONS:
        app.router.add_route(operation.method, operation.path, partial(_operate, gate, operation))
        if operation.method == "GET":
            app.router.add_route("HEAD", operation.path, partial(_operate, gate, operation))
    app.router.add_get("/api/v1/events", partial(_events, gate), allow_head=False)
    app.router.add_get("/openapi.json", partial(_openapi, gate))
    app.router.add_get("/docs", partial(_docs, gate))
    return app


def probes_application(knowledge: Knowledge, scrapes: Scrapes | None = None) -> web.Application:
    """Health and metrics alone, for whoever comes."""
    return _application(knowledge, None, scrapes)


def scrapes_of(knowledge: Knowledge) -> Scrapes:
    """Who answers scrapers, on all listeners."""
    plane = knowledge.plane
    return Scrapes(
        knowledge.facts,
        knowledge.now,
        plane.rollouts.precedence,
        knowledge.refused,
        lambda: (plane.tables.generation, plane.events.number),
    )


def _application(knowledge: Knowledge, gate: Gate | None, scrapes: Scrapes | None) -> web.Application:
    app = web.Application(middlewares=[_guarded(gate)], client_max_size=LARGEST_BODY)
    app[KNOWLEDGE] = knowledge
    app[SCRAPES] = scrapes or scrapes_of(knowledge)
    app.on_shutdown.append(_stop)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)
    return app


async def _stop(app: web.Application) -> None:
    app[SCRAPES].stop()
    if READING in app:
        app[READING].stop()


class Failures:
    """Failed logins: those that wait for their answer, and what the log says of them."""

    def __init__(self) -> None:
        self._waiting = 0
        self._said = self._unsaid = 0
        self._over: asyncio.TimerHandle | None = None

    def say(self, request: web.Request) -> None:
        """Say it in the log: the first ones, then how many more there were. Whoever guesses must not fill it."""
        if self._over is None:
            self._over = asyncio.get_running_loop().call_later(SAID_PERIOD, self._again)
        if self._said < MOST_SAID:
            self._said += 1
            log.warning("a login from %s failed: %s %s", _from(request), request.method, request.rel_url.path)
        else:
            self._unsaid += 1

    def _again(self) -> None:
        unsaid, self._said, self._unsaid, self._over = self._unsaid, 0, 0, None
        if unsaid:
            log.warning("%d more logins failed in %g s", unsaid, SAID_PERIOD, extra={"fields": {"failed": unsaid}})

    async def slow(self, problem: Problem) -> Problem:
        """What is answered, after a while."""
        if self._waiting >= MOST_LATE:
            return Problem("too-many", "too many failed logins at a time", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            await asyncio.sleep(LATE)
        finally:
            self._waiting -= 1
        return problem


def _guarded(gate: Gate | None) -> Middleware:
    failures = Failures()

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if gate is not None:
                gate.check_host(request.host or "", request.headers.get("Origin"))
            response = await handler(request)
        except Problem as problem:
            if problem.slug == "unauthenticated" and "Authorization" in request.headers:
                failures.say(request)
                problem = await failures.slow(problem)
            response = _problem(problem)
        except web.HTTPException as error:
            response = _problem(_of(error))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.rel_url.path)
            response = _problem(Problem("failed", "the log of the proxy says more"))
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    return guarded


def _from(request: web.Request) -> str:
    """The address that a request came from."""
    return plain(request.remote or "")


def _problem(problem: Problem) -> web.Response:
    return web.Response(
        body=problem.body(), status=problem.status, content_type=CONTENT_TYPE, headers=dict(problem.headers)
    )


def _of(error: web.HTTPException) -> Problem:
    """Aiohttp's own answers as problems."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return Problem("method-not-allowed", headers={"Allow": ", ".join(sorted(error.allowed_methods))})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Problem("too-large", f"at most {LARGEST_BODY} bytes")
    if error.status == web.HTTPNotFound.status_code:
        return Problem("not-found", "GET /docs tells what there is")
    return Problem("malformed", error.reason)


async def _operate(gate: Gate, operation: Operation, request: web.Request) -> web.StreamResponse:
    actor = gate.authenticate(request.headers.get("Authorization"), _from(request))
    gate.authorize(actor, operation.role)
    call = await _call(operation, request, actor)
    if operation.role == "write":
        call.knowledge.begun()
        with call.knowledge.plane.rollouts.precedence.change():
            written = Written.of(await operation.run(call))
        return await sent(request, written, HEADERS)
    return await request.app[READING].answer(request, operation, call, HEADERS)


async def _call(operation: Operation, request: web.Request, actor: Actor) -> Call:
    body: object = {} if operation.optional else None
    if operation.body is not None and not (operation.optional and not request.can_read_body):
        if request.content_type != "application/json":
            raise Problem("not-json", "send Content-Type: application/json")
        try:
            async with asyncio.timeout(BODY_PATIENCE):
                body = parsed(await request.read())
        except TimeoutError:
            raise Problem("too-slow") from None
    return Call(
        request.app[KNOWLEDGE],
        actor,
        dict(request.match_info),
        dict(request.query),
        body,
        ", ".join(request.headers.getall("If-Match")) if "If-Match" in request.headers else None,
    )


def parsed(data: bytes) -> object:
    """JSON in UTF-8. Raises `Problem`."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Problem("malformed", "the body is not JSON in UTF-8") from None


async def _events(gate: Gate, request: web.Request) -> web.StreamResponse:
    actor = gate.authenticate(request.headers.get("Authorization"), _from(request))
    gate.authorize(actor, "read")
    owner = actor.name if gate.guarded else ""
    return await stream(request, request.app[KNOWLEDGE].plane.events, HEADERS, owner)


async def _openapi(gate: Gate, request: web.Request) -> web.StreamResponse:
    return await sent(request, request.app[READING].openapi(guarded=gate.guarded), HEADERS)


async def _docs(gate: Gate, request: web.Request) -> web.StreamResponse:
    return await sent(request, request.app[READING].docs(guarded=gate.guarded), HEADERS)


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


async def _readyz(request: web.Request) -> web.Response:
    knowledge = request.app[KNOWLEDGE]
    if not knowledge.ready:
        raise Problem("not-ready", f"{knowledge.workers.ready} of {knowledge.workers.count} workers serve")
    return web.json_response(
        {"status": "ready", "workers": knowledge.workers.ready, "listen": list(knowledge.addresses())}
    )


async def _metrics(request: web.Request) -> web.StreamResponse:
    form = exposition.negotiate(request.headers.get("Accept", ""))
    return await request.app[SCRAPES].answer(request, form, HEADERS)
