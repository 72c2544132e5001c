"""May a failed attempt be repeated without anybody noticing? Pure.

Only the keep-alive race is mended (RFC 9112 9.3.1): an idle connection that the endpoint closed while our
request was on its way. Anything else that fails might have been executed, and a silent repeat would hide
a failing version from its counters.
"""

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))
"""RFC 9110 9.2.2; TRACE never gets this far."""

REPLAY_LIMIT = 65_536
"""Body bytes kept to be sent again; a longer body is not repeated."""


def may_retry(*, replay_kept: bool, answered: bool, attempts: int) -> bool:
    """Whether an attempt that ended in a closed connection is repeated, once, on a new connection.

    `replay_kept`: everything sent so far can be sent again; `answered`: a byte of the response arrived.
    """
    return replay_kept and not answered and attempts == 1
