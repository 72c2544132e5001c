"""What became of one attempt: the `outcome` label of `attempts_total`."""

from enum import StrEnum


class Outcome(StrEnum):
    """A client that leaves early, or load that is shed, is not a failure of the version."""

    SUCCESS = "success"
    ERROR_5XX = "error_5xx"
    CONNECT = "connect"
    TIMEOUT = "timeout"
    RESET = "reset"
    PROTOCOL = "protocol"
    UNAVAILABLE = "unavailable"
    OVERFLOW = "overflow"
    CLIENT_ABORT = "client_abort"


FAILURES = frozenset(
    (Outcome.ERROR_5XX, Outcome.CONNECT, Outcome.TIMEOUT, Outcome.RESET, Outcome.PROTOCOL, Outcome.UNAVAILABLE)
)
"""Outcomes that are the version's fault. A client that left and load that was shed are not."""
