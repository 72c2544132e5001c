"""The identity of a rollout: an id, and the names of both versions. Pure."""

import string
from dataclasses import dataclass
from datetime import UTC, datetime

# Characters of the random end of an id, without 0, 1, i, l and o, which are easily confused.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"

# Number of random characters in an id.
RANDOM = 5

# Maximum length of a version or an id in a metric label.
LABEL = 64

SAFE = frozenset(string.ascii_letters + string.digits + "._:/@+-")


@dataclass(frozen=True, slots=True)
class RolloutIdentity:
    """`given` is the canary's version as the request that began the rollout names it, `announced` is the version that
    the canary (or the config for it) announces, `stable` is stable's version. Unknown versions are empty.
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
        """Whether `other`, which comes later, has the same canary version; None if that cannot be known."""
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
    """An id for a rollout that begins `now` (seconds since 1970): sorts by time. `rng` is a random number that makes
    it differ from other ids of that second.
    """
    end = ""
    for _ in range(RANDOM):
        rng, digit = divmod(rng, len(ALPHABET))
        end += ALPHABET[digit]
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{end}"


def label(text: str) -> str:
    """A version or an id as a metric label: untrusted text, cut to length, with unsafe characters replaced."""
    return "".join(one if one in SAFE else "_" for one in text[:LABEL])
