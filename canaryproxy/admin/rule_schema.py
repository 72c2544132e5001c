"""What a rule looks like, as a JSON Schema: for the OpenAPI alone, since the config's readers check it.

As tight as a schema can be, so that what it allows is accepted and what it forbids is not.
"""

from typing import Any

from canaryproxy.model.fields import UNMATCHED

VALUE: dict[str, Any] = {
    "type": "string",
    "pattern": r"^([^\u0000-\u0020\u007f]([^\u0000-\u0008\u000a-\u001f\u007f]*[^\u0000-\u0020\u007f])?)?$",
    "description": "Text without white space around it.",
}
PATH: dict[str, Any] = {"type": "string", "pattern": "^/$|^(/[a-z0-9_-]{1,20}){1,8}$"}


def _one_of(kinds: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Mappings of one key each."""
    return [
        {"type": "object", "properties": {kind: value}, "required": [kind], "additionalProperties": False}
        for kind, value in kinds.items()
    ]


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
    "description": "An address or a network (CIDR). Other lengths of prefix are taken, too.",
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
    "description": "An exception, as in the config. All its conditions must hold. Wherever a value is compared, "
    "`{regex: ...}` is taken, too: RE2 syntax, which no JSON Schema can describe, and so this one leaves it out.",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,62}$"},
        "headers": _matchers(
            "By name, in any case; those that are not passed on cannot be matched.", HEADER_NAME, "cookie",
            *UNMATCHED_NAMES,
        ),
        "cookies": _matchers("By name.", COOKIE_NAME),
        "query": _matchers("Parameters by name.", PARAMETER_NAME),
        "methods": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "pattern": METHOD, "not": {"enum": ["CONNECT", "TRACE"]}},
        },
        "path": {"oneOf": [{"type": "null"}, PATH, *_one_of({"exact": PATH, "prefix": PATH})]},
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
