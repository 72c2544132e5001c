"""Counting distinct users, who are hashes of 64 bits: exactly while they are few, by a sample when they are many. Pure.

The sample keeps those hashes that are below a bound, which is halved whenever there are too many (Wegman's adaptive
sampling: Flajolet 1990, "On adaptive sampling"). Whether a user is in it depends on the hash alone, so samples of
several workers merge into that of their union, and users who failed are sampled exactly as those who were seen. What
is kept of a sample of 1 in 2^level has a relative standard error of sqrt((1 - 2^-level) / kept).

Hashes lie in strata by their leading zeros. Halving takes away one stratum, so it costs the same for any number.

A client chooses its key where that is a header, or a cookie that it need not keep, and the hash of a bucket is no
secret: it could look for keys whose hashes have many zeros, and with a few thousand of those no other user would be
sampled. So users are not counted by that hash but by a number made of it under a key of the instance (`UserNumbers`),
which no client knows or sees anything of. Which bucket a client has is not touched by that.
"""

import math
from collections.abc import Iterable

MAX_KEPT = 100_000
"""Users that are kept; up to here counts are exact."""


WORD_BITS = 2**64 - 1

SECRET_BYTES = 16
"""Bytes of the key that users are numbered under."""


class UserNumbers:
    """Users by another number: SipHash-1-3 (Aumasson and Bernstein 2012, as in Python) of the 8 bytes of their hash."""

    def __init__(self, secret: bytes) -> None:
        secret = secret.ljust(SECRET_BYTES, b"\0")
        one, other = int.from_bytes(secret[:8], "little"), int.from_bytes(secret[8:SECRET_BYTES], "little")
        self._a = one ^ 0x736F6D6570736575
        self._b = other ^ 0x646F72616E646F6D
        self._c = one ^ 0x6C7967656E657261
        self._d = other ^ 0x7465646279746573
        self._end = 8 << 56

    def __repr__(self) -> str:
        return "<UserNumbers>"

    def of(self, user: int) -> int:
        """The number of a user."""
        a, b, c, d = self._a, self._b, self._c, self._d ^ user
        word = user
        for number in range(5):
            a = (a + b) & WORD_BITS
            b = ((b << 13 | b >> 51) & WORD_BITS) ^ a
            a = (a << 32 | a >> 32) & WORD_BITS
            c = (c + d) & WORD_BITS
            d = ((d << 16 | d >> 48) & WORD_BITS) ^ c
            a = (a + d) & WORD_BITS
            d = ((d << 21 | d >> 43) & WORD_BITS) ^ a
            c = (c + b) & WORD_BITS
            b = ((b << 17 | b >> 47) & WORD_BITS) ^ c
            c = (c << 32 | c >> 32) & WORD_BITS
            if number == 0:
                a ^= word
                word = self._end
                d ^= word
            elif number == 1:
                a ^= word
                c ^= 0xFF
        return a ^ b ^ c ^ d


def stratum_of(user: int) -> int:
    """How often the bound may be halved until this user is not sampled any more: the leading zeros of 64 bits."""
    number = 0
    while number < 64 and not user >> (63 - number):
        number += 1
    return number


def estimate(kept: int, level: int) -> int:
    """Users that a sample stands for."""
    return kept << level


def relative_error(kept: int, level: int) -> float:
    """The relative standard error of that number; 0 while it is exact."""
    return math.sqrt((1 - 2.0**-level) / kept) if level and kept else 0.0


class DistinctUsers:
    """A set of users, or a sample of it: one in 2^`level`."""

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._strata: dict[int, set[int]] = {}
        self.kept = 0
        self.level = 0

    def __repr__(self) -> str:
        return f"<DistinctUsers: {self.kept} kept, 1 in {estimate(1, self.level)}>"

    def __len__(self) -> int:
        return estimate(self.kept, self.level)

    def __contains__(self, user: int) -> bool:
        return user in self._strata.get(stratum_of(user), ())

    def add(self, user: int) -> None:
        """A user is here, once more or for the first time."""
        number = stratum_of(user)
        if number < self.level:
            return
        stratum = self._strata.get(number)
        if stratum is None:
            stratum = self._strata[number] = set()
        if user not in stratum:
            stratum.add(user)
            self.kept += 1
            while self.kept > self._most:
                self.thin(self.level + 1)

    def merge(self, users: Iterable[int], level: int) -> None:
        """Add what another sample of this level has."""
        self.thin(level)
        for user in users:
            self.add(user)

    def thin(self, level: int) -> None:
        """Keep no more than one in 2^level."""
        while self.level < level:
            self.kept -= len(self._strata.pop(self.level, ()))
            self.level += 1

    def users(self) -> frozenset[int]:
        """Those that are kept."""
        return frozenset().union(*self._strata.values())

    @property
    def error(self) -> float:
        """The relative standard error of its length; 0 while that is exact."""
        return relative_error(self.kept, self.level)
