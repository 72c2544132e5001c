"""Counts distinct users, given as 64-bit hashes: few of them exactly, many by a sample. Pure.

The sample keeps the hashes below a bound, which is halved whenever there are too many (Wegman's adaptive sampling:
Flajolet 1990, "On adaptive sampling"). Whether a user is in the sample depends on the hash alone, so samples of several
workers merge into that of their union, and failed users are sampled exactly like seen ones. A sample of 1 in 2^level
has a relative standard error of sqrt((1 - 2^-level) / kept).

Hashes are grouped in strata by their leading zeros. Halving drops one stratum.

Clients can choose their key, and the hash that determines the bucket is not secret. An attacker could search for keys
whose hashes have many leading zeros; a few thousand of them would crowd all other users out of the sample. Therefore
users are counted by a keyed number instead (`UserNumbers`), whose key clients cannot learn. Buckets are not affected.
"""

import math
from collections.abc import Iterable

# Limit on users kept; up to this number counts are exact.
MAX_KEPT = 100_000

WORD_BITS = 2**64 - 1

# Bytes of the key of `UserNumbers`.
SECRET_BYTES = 16


class UserNumbers:
    """Keyed numbers of users: SipHash-1-3 (Aumasson and Bernstein 2012, as in Python) of the 8 bytes of their hash."""

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
    """The leading zeros of the 64-bit hash: the level up to which a sample keeps the user."""
    number = 0
    while number < 64 and not user >> (63 - number):
        number += 1
    return number


def estimate(kept: int, level: int) -> int:
    """The number of users that a sample represents."""
    return kept << level


def relative_error(kept: int, level: int) -> float:
    """The relative standard error of the estimate; 0 while it is exact."""
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
        """Add a user, new or known."""
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
        """Add the users of another sample of this level."""
        self.thin(level)
        for user in users:
            self.add(user)

    def thin(self, level: int) -> None:
        """Reduce the sample to one in 2^level."""
        while self.level < level:
            self.kept -= len(self._strata.pop(self.level, ()))
            self.level += 1

    def users(self) -> frozenset[int]:
        """The users in the sample."""
        return frozenset().union(*self._strata.values())

    @property
    def error(self) -> float:
        """The relative standard error of the length; 0 while it is exact."""
        return relative_error(self.kept, self.level)
