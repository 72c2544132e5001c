"""Which bucket a client has, for as long as it keeps its key.

`bucket = blake2b(key, key=salt, digest_size=8)`, read as a big-endian integer, modulo 10,000. Frozen: other
instances, other versions of this program and your own tools must agree on it (vectors in the tests). The
salt is the route's, or the route's and the rule's; one longer than the 64 bytes that BLAKE2b takes as its
key (RFC 7693 2.1) is replaced by its own 64-byte digest. A client moves only when the weight passes its
bucket, and a key never says which version it gets.
"""

import re
from hashlib import blake2b
from typing import NamedTuple

from canaryproxy.model.table import WEIGHT_SCALE, Affinity
from canaryproxy.routing.facts import Facts
from canaryproxy.routing.split import Dice

LONGEST_SALT = 64
ID_HALF = 2**52
"""Half of a client id: what is left of the 53 random bits of a float, so no bit of it is always zero."""

client_id = re.compile(rb"[A-Za-z0-9_-]{16,64}").fullmatch
"""What a cookie of ours looks like; anything else is replaced."""


class Key(NamedTuple):
    """What identifies a client. `cookie` is the field that tells a client its new key, empty if it has one."""

    value: bytes
    cookie: bytes = b""


def salt_of(text: str) -> bytes:
    """A text as the key of the hash."""
    salt = text.encode("utf-8")
    return salt if len(salt) <= LONGEST_SALT else blake2b(salt).digest()


def hash_of(key: bytes, salt: bytes) -> int:
    """A client as a number of 64 bits. It tells users apart without saying who they are."""
    return int.from_bytes(blake2b(key, key=salt, digest_size=8).digest(), "big")


def bucket_of(key: bytes, salt: bytes) -> int:
    """The bucket, 0..9999, of a client."""
    return hash_of(key, salt) % WEIGHT_SCALE


def key_of(affinity: Affinity, facts: Facts, dice: Dice) -> Key | None:
    """The client's key, or None where it brings none. With a cookie every client has one: a new one is made."""
    if affinity.by == "source":
        return None if facts.source is None else Key(str(facts.source).encode("ascii"))
    if affinity.by == "header":
        values = facts.headers.get(affinity.name.encode("ascii"))
        return Key(values[0]) if values and values[0] else None
    for value in facts.cookies.get(affinity.name.encode("ascii"), ()):
        if client_id(value):
            return Key(value)
    fresh = b"%013x%013x" % (int(dice() * ID_HALF), int(dice() * ID_HALF))
    return Key(fresh, cookie(affinity, fresh, secure=facts.secure))


def cookie(affinity: Affinity, key: bytes, *, secure: bool) -> bytes:
    """The field that tells a client its key (RFC 6265 4.1). Not readable by scripts; sent on links from elsewhere."""
    age = b"" if affinity.max_age is None else b"; Max-Age=%d" % affinity.max_age
    return b"Set-Cookie: %b=%b; Path=/%b; HttpOnly; SameSite=Lax%b\r\n" % (
        affinity.name.encode("ascii"), key, age, b"; Secure" if secure else b"",
    )  # fmt: skip
