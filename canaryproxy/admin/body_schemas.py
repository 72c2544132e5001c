"""JSON Schemas of the bodies of canaries and rules, for the OpenAPI document alone: the readers of the configuration
validate these bodies. The schemas are as strict as possible, so that what they allow is accepted.
"""

from typing import Any

from canaryproxy.model.fields import UNMATCHED


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """A mapping without additional keys."""
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


URL = {"type": "string", "pattern": "^https?://[a-z]([a-z0-9-]{0,20}[a-z0-9])?(:[1-9][0-9]{0,3})?$"}
ENDPOINT = {"type": "string", "pattern": "^http://[a-z][a-z0-9]{0,20}(:[1-9][0-9]{0,3})?$"}
DURATION = {"type": "string", "pattern": "^[1-9][0-9]?s$"}
COUNT = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
NONE = {"enum": [None, False, "off", "none"]}
PATH = {"type": "string", "pattern": "^/[a-z0-9/]{0,40}$"}

HEALTH = _object(
    {
        "path": PATH,
        "interval": DURATION,
        "timeout": DURATION,
        "unhealthy": COUNT,
        "healthy": COUNT,
        "version_header": {"type": ["string", "null"], "pattern": "^x-[a-z]{1,20}$"},
    },
    "path",
)

SETTINGS: dict[str, Any] = {
    "connect_timeout": DURATION,
    "response_timeout": DURATION,
    "keep_alive": DURATION,
    "health": {"anyOf": [HEALTH, NONE]},
    "max_in_flight": {"anyOf": [COUNT, NONE]},
    "tls": {"type": "null"},
}

CANARY_SCHEMA: dict[str, Any] = {
    "description": "A version as in the configuration: a URL, or a mapping with `url` or `endpoints` and settings. "
    "The schema describes the usual forms; everything that the configuration accepts is accepted. `tls` is left out: "
    "it names files on the proxy's host.",
    "oneOf": [
        URL,
        _object({"url": URL, **SETTINGS}, "url"),
        _object({"endpoints": {"type": "array", "minItems": 1, "items": ENDPOINT}, **SETTINGS}, "endpoints"),
    ],
    "example": {"url": "http://shop-canary:8080", "health": {"path": "/healthz"}},
}

VALUE: dict[str, Any] = {
    "type": "string",
    "pattern": r"^([^\u0000-\u0020\u007f]([^\u0000-\u0008\u000a-\u001f\u007f]*[^\u0000-\u0020\u007f])?)?$",
    "description": "Text without surrounding white space.",
}
RULE_PATH: dict[str, Any] = {"type": "string", "pattern": "^/$|^(/[a-z0-9_-]{1,20}){1,8}$"}


def _one_of(kinds: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Mappings with exactly one of these keys."""
    return [_object({kind: value}, kind) for kind, value in kinds.items()]


SEVERAL: dict[str, Any] = {"type": "array", "minItems": 1, "items": VALUE}
ITEM: dict[str, Any] = {
    "type": "string",
    "pattern": VALUE["pattern"].replace(")?)?$", ")?)$"),
    "description": "Not empty.",
}
ITEMS: dict[str, Any] = {"oneOf": [ITEM, {"type": "array", "minItems": 1, "items": ITEM}]}
MATCHER: dict[str, Any] = {
    "oneOf": [
        VALUE,
        *_one_of({"exact": VALUE, "prefix": VALUE, "present": {"type": "boolean"}, "in": SEVERAL, "item": ITEMS}),
    ]
}
BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
NETWORK: dict[str, Any] = {
    "type": "string",
    "pattern": rf"^({BYTE}\.){{3}}{BYTE}(/32)?$|^{BYTE}\.0\.0\.0/8$|^({BYTE}\.){{2}}0\.0/16$|^({BYTE}\.){{3}}0/24$"
    "|^[1-9a-f][0-9a-f]{0,3}(:[1-9a-f][0-9a-f]{0,3}){7}(/128)?$|^[1-9a-f][0-9a-f]{0,3}:[1-9a-f][0-9a-f]{0,3}::/32$",
    "description": "An address or a network (CIDR). Other prefix lengths are accepted too.",
}


def _matchers(words: str, name: str, *but: str) -> dict[str, Any]:
    names: dict[str, Any] = {"pattern": name}
    if but:
        names["not"] = {"enum": list(but)}
    return {"type": "object", "description": words, "additionalProperties": MATCHER, "propertyNames": names}


METHOD = "^[!#$%&'*+.^_`|~0-9A-Z-]{1,128}$"
HEADER_NAME = "^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$"
COOKIE_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"
PARAMETER_NAME = r"^[^\u0000-\u0008\u000a-\u001f\u007f]+$"
UNMATCHED_NAMES = sorted(name.decode("ascii") for name in UNMATCHED)

RULE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A rule as in the configuration. All its conditions must match. Every compared value may also be "
    "`{regex: ...}` in RE2 syntax, which JSON Schema cannot describe.",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,62}$"},
        "headers": _matchers(
            "By name, case-insensitive; headers that are not forwarded cannot be matched.", HEADER_NAME, "cookie",
            *UNMATCHED_NAMES,
        ),
        "cookies": _matchers("By name.", COOKIE_NAME),
        "query": _matchers("Parameters by name.", PARAMETER_NAME),
        "methods": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "pattern": METHOD, "not": {"enum": ["CONNECT", "TRACE"]}},
        },
        "path": {"oneOf": [{"type": "null"}, RULE_PATH, *_one_of({"exact": RULE_PATH, "prefix": RULE_PATH})]},
        "sources": {"type": "array", "minItems": 1, "items": NETWORK},
        "to": {"type": "string", "enum": ["stable", "canary"]},
        "percent": {"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01, "default": 100},
        "preview": {"type": ["boolean", "null"], "default": False},
        "analyse": {"type": ["boolean", "null"], "default": False},
    },
    "required": ["name", "to"],
    "additionalProperties": False,
    "example": {"name": "testers", "headers": {"x-internal-tester": "true"}, "to": "canary"},
}  # fmt: skip
