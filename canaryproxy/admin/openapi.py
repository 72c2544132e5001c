"""The OpenAPI document, from the table of operations and the models. Pure."""

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from canaryproxy import __version__
from canaryproxy.admin import models
from canaryproxy.admin.canary_schema import CANARY_SCHEMA
from canaryproxy.admin.operations import MAX_ENTRIES, OPERATIONS, Operation
from canaryproxy.admin.problems import CONTENT_TYPE, TITLES
from canaryproxy.admin.rule_schema import RULE_SCHEMA

EVERYWHERE = (
    "unauthenticated",
    "too-many-requests",
    "unknown-host",
    "cross-site",
    "malformed",
    "internal-error",
    "not-ready",
)
"""Problems that any call may answer."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "route": {"in": "path", "required": True, "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,62}$"}},
    "rule": {"in": "path", "required": True, "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,62}$"}},
    "rollout": {"in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-z-]{1,40}$"}},
    "verdict": {"in": "path", "required": True, "schema": {"type": "string", "enum": ["pass", "inconclusive", "fail"]}},
    "window": {
        "in": "query",
        "required": False,
        "description": "A duration from 1s to 1h.",
        "schema": {"type": "string", "pattern": "^([1-9]|[1-5][0-9])[sm]$", "default": "60s"},
    },
    "limit": {
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ENTRIES, "default": 100},
    },
}

API = "1"
"""Version of the API, for who shows no token: what runs here is nothing that a stranger needs to know."""

OPEN: dict[str, tuple[str, str]] = {
    "/healthz": ("The process is alive", "application/json"),
    "/readyz": ("Requests are served: a table is published and workers are up", "application/json"),
    "/metrics": ("Metrics for Prometheus, all workers summed; OpenMetrics on request", "text/plain"),
}


MORE: dict[str, tuple[str, ...]] = {"/readyz": ("not-ready",), "/metrics": ("too-many-readers",)}
"""What else those may answer."""


def document(*, guarded: bool) -> dict[str, Any]:
    """The whole document. `guarded`: tokens are needed."""
    shown: set[type[BaseModel]] = {models.ProblemDocument, *(operation.answer for operation in OPERATIONS)}
    shown |= {operation.body for operation in OPERATIONS if isinstance(operation.body, type)}
    listed = sorted(shown, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "serialization") for model in listed], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    for path, (summary, kind) in OPEN.items():
        paths[path] = {"get": _open(path, summary, kind)}
    paths["/api/v1/events"] = {"get": _events()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "canaryproxy admin API",
            "version": API if guarded else __version__,
            "description": "Changes answer 200 once every worker follows them. Answers carry an `ETag`; send it "
            "back as `If-Match` with a change, and the change is refused with 412 if another change was made first.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas["$defs"], "RuleBody": RULE_SCHEMA, "CanaryBody": CANARY_SCHEMA},
            **({"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}} if guarded else {}),
        },
        **({"security": [{"bearer": []}]} if guarded else {}),
    }


def _described(operation: Operation) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", operation.path)
    words = "".join(part.title() for part in re.findall(r"[a-z]+", operation.path[7:]))
    schema: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}{words}",
        "summary": operation.summary,
        "parameters": [{"name": name, **PARAMETERS[name]} for name in (*names, *operation.query)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        name = f"{operation.body.title()}Body" if isinstance(operation.body, str) else operation.body.__name__
        schema["requestBody"] = {
            "required": not operation.optional,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}},
        }
    return schema


def _responses(operation: Operation) -> dict[str, Any]:
    good = {"application/json": {"schema": {"$ref": f"#/components/schemas/{operation.answer.__name__}"}}}
    done = sorted({200, 201} if operation.method == "PUT" and isinstance(operation.body, str) else {operation.status})
    responses: dict[str, Any] = {str(status): {"description": "Done", "content": good} for status in done}
    crowded = ("too-many-readers",) if operation.role == "read" else ()
    return {**responses, **problems((*operation.problems, *EVERYWHERE, *crowded))}


def problems(slugs: tuple[str, ...]) -> dict[str, Any]:
    """The error responses for these slugs, by status."""
    found: dict[str, Any] = {}
    for slug in sorted(set(slugs), key=lambda one: TITLES[one][0]):
        status, title = TITLES[slug]
        known = found.get(str(status))
        found[str(status)] = {
            "description": f"{known['description']}; {title}" if known else title,
            "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
    return found


def _open(path: str, summary: str, kind: str) -> dict[str, Any]:
    slugs = ("unknown-host", "cross-site", "internal-error", *MORE.get(path, ()))
    schema = {"type": "object"} if kind == "application/json" else {"type": "string"}
    good = {"200": {"description": "OK", "content": {kind: {"schema": schema}}}}
    return {"operationId": path[1:], "summary": summary, "security": [], "responses": {**good, **problems(slugs)}}


def _events() -> dict[str, Any]:
    good = {
        "200": {
            "description": "A stream without an end",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    }
    return {
        "operationId": "events",
        "summary": "Server-Sent Events: weight, rules, canary, config, health, worker",
        "responses": {**good, **problems((*EVERYWHERE, "too-many-listeners"))},
    }
