"""Errors of the API: RFC 9457 problem details with types that never change their meaning."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from canaryproxy.escape import CUT, escaped_json

TYPE_BASE = "urn:canaryproxy:problem:"

CONTENT_TYPE = "application/problem+json"

MAX_DETAIL_LENGTH = 4_000
"""Characters of what is said about an error; part of it may be what was sent."""

TITLES: dict[str, tuple[int, str]] = {
    "malformed": (400, "The request is malformed"),
    "unauthenticated": (401, "A token is needed"),
    "forbidden": (403, "This token may not do that"),
    "cross-site": (403, "Requests from other sites are refused"),
    "not-found": (404, "There is nothing here"),
    "no-such-route": (404, "There is no such route"),
    "no-such-rollout": (404, "There is no such rollout"),
    "no-such-rule": (404, "There is no such rule"),
    "no-such-goal": (404, "There is no such goal"),
    "method-not-allowed": (405, "This method is not allowed here"),
    "too-slow": (408, "The request took too long to arrive"),
    "rule-exists": (409, "A rule of this name exists"),
    "rule-name": (409, "Path and body name different rules"),
    "no-canary": (409, "The route has no canary"),
    "no-affinity": (409, "The route has no affinity"),
    "illegal-phase": (409, "Not allowed in this phase"),
    "verdict-changed": (409, "The verdict has changed"),
    "revision-conflict": (412, "`If-Match` does not match the current revision"),
    "too-large": (413, "The request is too large"),
    "not-json": (415, "JSON is expected"),
    "unknown-host": (421, "This is not the host of the API"),
    "invalid": (422, "The request cannot be followed"),
    "too-many-requests": (429, "Too many requests"),
    "internal-error": (500, "Internal error"),
    "not-ready": (503, "Not ready"),
    "state-unwritable": (503, "State storage is not writable"),
    "too-many-listeners": (503, "Too many listeners"),
    "too-many-readers": (503, "Too many readers"),
    "not-acknowledged": (504, "Not every worker has acknowledged the change"),
}
"""Slug to status and title."""


@dataclass(slots=True, eq=False)
class ApiError(Exception):
    """One error. `detail` is a sentence for the reader; `more` are members of its own. Context managers set the
    traceback of what passes through them, so it cannot be frozen.
    """

    slug: str
    detail: str = ""
    more: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return TITLES[self.slug][0]

    def body(self) -> bytes:
        """The document."""
        schema: dict[str, object] = {
            "type": TYPE_BASE + self.slug,
            "title": TITLES[self.slug][1],
            "status": self.status,
        }
        if self.detail:
            schema["detail"] = (
                self.detail if len(self.detail) <= MAX_DETAIL_LENGTH else self.detail[:MAX_DETAIL_LENGTH] + CUT
            )
        return escaped_json(json.dumps({**schema, **self.more})).encode() + b"\n"
