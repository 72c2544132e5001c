"""May a failed attempt be repeated without anybody noticing, and where? Pure.

The keep-alive race (RFC 9112 9.3.1), an idle connection that the endpoint closed while our request was on its
way, is mended on a new connection to the same endpoint and not held against it. A connection that breaks
before the first byte of the response, on a request that may be sent twice, goes elsewhere: to another endpoint
of the version, or to the version that may stand in. That one is held against the version. Anything else might
have been executed and stays as it is.
"""

from enum import Enum

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))
"""RFC 9110 9.2.2; TRACE never gets this far."""

REPLAY_LIMIT = 65_536
"""Body bytes kept to be sent again; a longer body is not repeated."""


class Repeat(Enum):
    """What may be done about an attempt that ended in a closed connection."""

    SAME = "same endpoint, new connection"
    ELSEWHERE = "elsewhere"
    NEVER = "never"


def after_close(*, replay_kept: bool, answered: bool, reused: bool) -> Repeat:
    """Whether and where an attempt is repeated.

    `replay_kept`: everything sent so far can be sent again; `answered`: a byte of the response arrived;
    `reused`: the connection had served an earlier request.
    """
    if answered or not replay_kept:
        return Repeat.NEVER
    return Repeat.SAME if reused else Repeat.ELSEWHERE
