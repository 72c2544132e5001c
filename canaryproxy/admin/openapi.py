"""The OpenAPI document, made from the table of operations and the models, and its HTML page. Pure."""

import html
import json
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from canaryproxy import __version__
from canaryproxy.admin import models
from canaryproxy.admin.body_schemas import CANARY_SCHEMA, RULE_SCHEMA
from canaryproxy.admin.operation import Operation
from canaryproxy.admin.operations import OPERATIONS
from canaryproxy.admin.problems import CONTENT_TYPE, TITLES
from canaryproxy.admin.routes import MAX_ENTRIES

# Problem slugs that any path may answer.
OPEN_COMMON = ("unknown-host", "cross-site", "internal-error")

# Problem slugs that any operation may answer.
EVERYWHERE = ("unauthenticated", "too-many-requests", "malformed", "not-ready", *OPEN_COMMON)

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

# API version shown where tokens are required: the software version is not disclosed to strangers.
API = "1"

# Paths that are not in the table of operations: summary, content type, problem slugs.
OTHERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "/healthz": ("Liveness: the process responds", "application/json", OPEN_COMMON),
    "/readyz": (
        "Readiness: a routing table is published and workers are up",
        "application/json",
        (*OPEN_COMMON, "not-ready"),
    ),
    "/metrics": (
        "Prometheus metrics of all workers; OpenMetrics on request",
        "text/plain",
        (*OPEN_COMMON, "too-many-readers"),
    ),
    "/api/v1/events": (
        "Server-Sent Events: weight, rules, canary, config, health, worker",
        "text/event-stream",
        (*EVERYWHERE, "too-many-listeners"),
    ),
}

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { font-size: 1.05rem; margin: 2rem 0 .2rem } code, pre { font-family: ui-monospace, monospace; font-size: .9em }
b { display: inline-block; min-width: 4.5rem } pre { background: #f4f4f4; padding: .8rem; overflow-x: auto }
td, th { text-align: left; padding: .1rem 1rem .1rem 0; vertical-align: top } details { margin: .3rem 0 }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } pre { background: #242424 } }
"""


def document(*, guarded: bool) -> dict[str, Any]:
    """The OpenAPI document. `guarded`: tokens are required."""
    shown: set[type[BaseModel]] = {models.ProblemDocument, *(operation.answer for operation in OPERATIONS)}
    shown |= {operation.body for operation in OPERATIONS if isinstance(operation.body, type)}
    listed = sorted(shown, key=lambda model: model.__name__)
    template = "#/components/schemas/{model}"
    _, schemas = models_json_schema([(model, "serialization") for model in listed], ref_template=template)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    for path, (summary, kind, slugs) in OTHERS.items():
        paths[path] = {"get": _other(path, summary, kind, slugs)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "canaryproxy admin API",
            "version": API if guarded else __version__,
            "description": "A change answers 200 once every worker uses it. Responses carry an `ETag`; send it as "
            "`If-Match` with a change, and the change is refused with 412 if another change was made in between.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas["$defs"], "RuleBody": RULE_SCHEMA, "CanaryBody": CANARY_SCHEMA},
            **({"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}} if guarded else {}),
        },
        **({"security": [{"bearer": []}]} if guarded else {}),
    }


def _described(operation: Operation) -> dict[str, Any]:
    parameters = re.findall(r"\{(\w+)\}", operation.path)
    name = "".join(part.title() for part in re.findall(r"[a-z]+", operation.path[7:]))
    schema: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}{name}",
        "summary": operation.summary,
        "parameters": [{"name": name, **PARAMETERS[name]} for name in (*parameters, *operation.query)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        model = f"{operation.body.title()}Body" if isinstance(operation.body, str) else operation.body.__name__
        schema["requestBody"] = {
            "required": not operation.optional,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
        }
    return schema


def _responses(operation: Operation) -> dict[str, Any]:
    good = {"application/json": {"schema": {"$ref": f"#/components/schemas/{operation.answer.__name__}"}}}
    done = sorted({200, 201} if operation.method == "PUT" and isinstance(operation.body, str) else {operation.status})
    responses: dict[str, Any] = {str(status): {"description": "Done", "content": good} for status in done}
    busy = ("too-many-readers",) if operation.role == "read" else ()
    return {**responses, **problems((*operation.problems, *EVERYWHERE, *busy))}


def problems(slugs: tuple[str, ...]) -> dict[str, Any]:
    """Error responses of these problem slugs, by status."""
    found: dict[str, Any] = {}
    for slug in sorted(set(slugs), key=lambda one: TITLES[one][0]):
        status, title = TITLES[slug]
        known = found.get(str(status))
        found[str(status)] = {
            "description": f"{known['description']}; {title}" if known else title,
            "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
    return found


def _other(path: str, summary: str, kind: str, slugs: tuple[str, ...]) -> dict[str, Any]:
    schema = {"type": "object" if kind == "application/json" else "string"}
    good = {"200": {"description": "OK", "content": {kind: {"schema": schema}}}}
    call = {"operationId": path.rpartition("/")[2], "summary": summary, "responses": {**good, **problems(slugs)}}
    return call if path.startswith("/api/") else {**call, "security": []}


def html_page(document: dict[str, Any]) -> str:
    """An OpenAPI document as HTML, without scripts and external resources."""
    info = document["info"]
    paths = document["paths"].items()
    calls = [_call(method, path, data) for path, methods in paths for method, data in methods.items()]
    schemas = [
        f"<details><summary><code>{_text(name)}</code></summary>"
        f"<pre>{_text(json.dumps(schema, indent=2))}</pre></details>"
        for name, schema in document["components"]["schemas"].items()
    ]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{_text(info['title'])}</title>"
        f"<style>{STYLE}</style><h1>{_text(info['title'])} {_text(info['version'])}</h1>"
        f"<p>{_text(info['description'])} Machine-readable: <a href=/openapi.json>/openapi.json</a>.</p>"
        f"{''.join(calls)}<h2>Schemas</h2>{''.join(schemas)}</html>"
    )


def _call(method: str, path: str, schema: dict[str, Any]) -> str:
    answers = schema["responses"].items()
    rows = "".join(f"<tr><td><code>{_text(status)}</code><td>{_text(one['description'])}" for status, one in answers)
    return (
        f"<h2><b>{method.upper()}</b> <code>{_text(path)}</code></h2>{_text(schema['summary'])}."
        f"<details><summary>Responses</summary><table>{rows}</table></details>"
    )


def _text(value: object) -> str:
    return html.escape(str(value))
