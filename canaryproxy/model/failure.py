"""Failures and outcomes of attempts: cause, origin and status.

One enum member per cause. `dataplane/local_response.py` is the only place that turns a failure into bytes.
"""

from enum import Enum, StrEnum
from typing import Literal

Origin = Literal["downstream", "upstream", "proxy"]


class Outcome(StrEnum):
    """Result of one attempt: the `outcome` label of `attempts_total`."""

    SUCCESS = "success"
    ERROR_5XX = "error_5xx"
    CONNECT = "connect"
    TIMEOUT = "timeout"
    RESET = "reset"
    PROTOCOL = "protocol"
    UNAVAILABLE = "unavailable"
    OVERFLOW = "overflow"
    CLIENT_ABORT = "client_abort"


# Outcomes that count against the version. A client that left early and load that was shed do not.
FAILURES = frozenset(
    (Outcome.ERROR_5XX, Outcome.CONNECT, Outcome.TIMEOUT, Outcome.RESET, Outcome.PROTOCOL, Outcome.UNAVAILABLE)
)


class Failure(Enum):
    """(status, RFC 9209 error type, origin, outcome of the attempt or None when none was made)."""

    BAD_REQUEST = (400, "http_request_error", "downstream", None)
    METHOD_REFUSED = (405, "http_request_denied", "downstream", None)
    REQUEST_TIMEOUT = (408, "http_request_error", "downstream", None)
    BODY_TOO_LARGE = (413, "http_request_denied", "downstream", None)
    TARGET_TOO_LONG = (414, "http_request_error", "downstream", None)
    EXPECTATION_UNKNOWN = (417, "http_request_denied", "downstream", None)
    TOO_MANY_CONNECTIONS = (429, "connection_limit_reached", "downstream", None)
    FIELDS_TOO_LARGE = (431, "http_request_error", "downstream", None)
    CODING_UNKNOWN = (501, "http_request_error", "downstream", None)
    VERSION_UNKNOWN = (505, "http_request_error", "downstream", None)
    LOOP = (508, "proxy_loop_detected", "downstream", None)
    NO_ROUTE = (404, "destination_not_found", "proxy", None)
    OVERLOADED = (503, "proxy_internal_response", "proxy", Outcome.OVERFLOW)
    INTERNAL = (500, "proxy_internal_error", "proxy", None)
    CONNECT_REFUSED = (502, "connection_refused", "upstream", Outcome.CONNECT)
    CONNECT_TIMEOUT = (504, "connection_timeout", "upstream", Outcome.TIMEOUT)
    CONNECT_UNSAFE = (502, "tls_certificate_error", "upstream", Outcome.CONNECT)
    NO_ENDPOINT = (503, "destination_unavailable", "upstream", Outcome.UNAVAILABLE)
    CANARY_UNREACHABLE = (503, "destination_unavailable", "upstream", Outcome.CONNECT)
    CANARY_ABORTED = (503, "destination_unavailable", "proxy", Outcome.OVERFLOW)
    SHUTTING_DOWN = (503, "connection_terminated", "proxy", Outcome.OVERFLOW)
    RESPONSE_TIMEOUT = (504, "http_response_timeout", "upstream", Outcome.TIMEOUT)
    UPSTREAM_RESET = (502, "connection_terminated", "upstream", Outcome.RESET)
    RESPONSE_CUT = (502, "http_response_incomplete", "upstream", Outcome.RESET)
    RESPONSE_INVALID = (502, "http_protocol_error", "upstream", Outcome.PROTOCOL)
    RESPONSE_HEAD_TOO_LARGE = (502, "http_response_header_section_size", "upstream", Outcome.PROTOCOL)
    CLIENT_GONE = (499, "connection_terminated", "downstream", Outcome.CLIENT_ABORT)

    def __init__(self, status: int, error: str, origin: Origin, outcome: Outcome | None) -> None:
        self.status = status
        self.error = error
        self.origin: Origin = origin
        self.outcome = outcome


class RequestRejectedError(Exception):
    """A request is rejected; carries the failure and a sentence for the log."""

    def __init__(self, failure: Failure, why: str = "") -> None:
        super().__init__(why or failure.name)
        self.failure = failure
        self.why = why
