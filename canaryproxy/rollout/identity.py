"""Which rollout it is, and what it is about: an id, and what both versions are called. Pure."""

import string
from dataclasses import dataclass
from datetime import UTC, datetime

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Of the random end of an id: no character that is read as another one."""

RANDOM = 5
"""Random characters of an id."""

LABEL = 64
"""Characters of a version or an id in a metric's label."""

SAFE = frozenset(string.ascii_letters + string.digits + "._:/@+-")


@dataclass(frozen=True, slots=True)
class RolloutIdentity:
    """`given` is the canary's version as the request that began the rollout names it, `announced` as the canary itself
    does (or the config for it), `stable` is stable's. Each is empty where it is not known.
    """

    id: str = ""
    given: str = ""
    announced: str = ""
    stable: str = ""

    @property
    def canary(self) -> str:
        """The canary's version."""
        return self.given or self.announced

    def same_canary(self, other: "RolloutIdentity") -> bool | None:
        """Whether `other`, which comes later, is about the same version; None where that cannot be known."""
        mine = {self.given, self.announced} - {""}
        if other.given:
            return other.given in mine if mine else None
        if other.announced and self.announced:
            return other.announced == self.announced
        return True if other.announced and other.announced == self.given else None

    def __str__(self) -> str:
        return f"rollout {self.id}{f' of {self.canary}' if self.canary else ''}"


NAMELESS = RolloutIdentity()


def identifier(now: float, rng: int) -> str:
    """An id for a rollout that begins `now` (seconds since 1970): sorted by time, and by `rng` different from any
    other of that second.
    """
    end = ""
    for _ in range(RANDOM):
        rng, digit = divmod(rng, len(ALPHABET))
        end += ALPHABET[digit]
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{end}"


def label(text: str) -> str:
    """As a metric's label has it: what anybody may have written, cut and without anything that could do harm."""
    return "".join(one if one in SAFE else "_" for one in text[:LABEL])
