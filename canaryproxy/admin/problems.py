"""Errors of the API: RFC 9457 problem details with stable types."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from canaryproxy.escape import CUT, escaped_json

TYPE_BASE = "urn:canaryproxy:problem:"

CONTENT_TYPE = "application/problem+json"

# Characters of a detail: it may quote the request.
MAX_DETAIL_LENGTH = 4_000

# Slug to status and title.
TITLES: dict[str, tuple[int, str]] = {
    "malformed": (400, "The request is malformed"),
    "unauthenticated": (401, "A token is required"),
    "forbidden": (403, "The token's role does not allow this"),
    "cross-site": (403, "Requests from other sites are refused"),
    "not-found": (404, "Not found"),
    "no-such-route": (404, "No such route"),
    "no-such-rollout": (404, "No such rollout"),
    "no-such-rule": (404, "No such rule"),
    "no-such-goal": (404, "No such goal"),
    "method-not-allowed": (405, "This method is not allowed here"),
    "too-slow": (408, "The request took too long to arrive"),
    "rule-exists": (409, "A rule with this name exists"),
    "rule-name": (409, "Path and body name different rules"),
    "no-canary": (409, "The route has no canary"),
    "no-affinity": (409, "The route has no affinity"),
    "illegal-phase": (409, "Not allowed in this phase"),
    "verdict-changed": (409, "The verdict has changed"),
    "revision-conflict": (412, "`If-Match` does not match the current revision"),
    "too-large": (413, "The request is too large"),
    "not-json": (415, "JSON is expected"),
    "unknown-host": (421, "This is not the host of the API"),
    "invalid": (422, "The request is invalid"),
    "too-many-requests": (429, "Too many requests"),
    "internal-error": (500, "Internal error"),
    "not-ready": (503, "Not ready"),
    "state-unwritable": (503, "State storage is not writable"),
    "too-many-listeners": (503, "Too many listeners"),
    "too-many-readers": (503, "Too many readers"),
    "not-acknowledged": (504, "Not every worker has acknowledged the change"),
}


@dataclass(slots=True, eq=False)
class ApiError(Exception):
    """An error response with additional members `more`. Not frozen: context managers set exceptions' tracebacks."""

    slug: str
    detail: str = ""
    more: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return TITLES[self.slug][0]

    def body(self) -> bytes:
        """The problem document as JSON."""
        status, title = TITLES[self.slug]
        data: dict[str, object] = {"type": TYPE_BASE + self.slug, "title": title, "status": status}
        if self.detail:
            cut = CUT if len(self.detail) > MAX_DETAIL_LENGTH else ""
            data["detail"] = self.detail[:MAX_DETAIL_LENGTH] + cut
        return escaped_json(json.dumps({**data, **self.more})).encode() + b"\n"
