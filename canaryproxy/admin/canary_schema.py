"""The JSON Schema of a canary as the API takes it. `config.route` checks it; this describes it for people and tools."""

from typing import Any

URL = {"type": "string", "pattern": "^https?://[a-z]([a-z0-9-]{0,20}[a-z0-9])?(:[1-9][0-9]{0,3})?$"}
DURATION = {"type": "string", "pattern": "^[1-9][0-9]?s$"}
COUNT = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
NONE = {"enum": [None, False, "off", "none"]}
PATH = {"type": "string", "pattern": "^/[a-z0-9/]{0,40}$"}

HEALTH: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": PATH,
        "interval": DURATION,
        "timeout": DURATION,
        "unhealthy": COUNT,
        "healthy": COUNT,
        "version_header": {"type": ["string", "null"], "pattern": "^x-[a-z]{1,20}$"},
    },
    "required": ["path"],
    "additionalProperties": False,
}

SETTINGS: dict[str, Any] = {
    "connect_timeout": DURATION,
    "response_timeout": DURATION,
    "keep_alive": DURATION,
    "health": {"anyOf": [HEALTH, NONE]},
    "max_in_flight": {"anyOf": [COUNT, NONE]},
    "tls": {"type": "null"},
}

CANARY_SCHEMA: dict[str, Any] = {
    "description": "A version, as in the config: a URL, or a mapping with `url` or `endpoints` and settings. "
    "Everything that the config takes is taken; this schema describes the usual forms. `tls` names files on the "
    "proxy's machine, which no schema can know, and so this one leaves it out.",
    "oneOf": [
        URL,
        {
            "type": "object",
            "properties": {"url": URL, **SETTINGS},
            "required": ["url"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "endpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "string", "pattern": "^http://[a-z][a-z0-9]{0,20}(:[1-9][0-9]{0,3})?$"},
                },
                **SETTINGS,
            },
            "required": ["endpoints"],
            "additionalProperties": False,
        },
    ],
    "example": {"url": "http://shop-canary:8080", "health": {"path": "/healthz"}},
}
