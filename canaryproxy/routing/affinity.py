"""Which bucket a client has, for as long as it keeps its key.

`bucket = blake2b(key, key=salt, digest_size=8)`, read as a big-endian integer, modulo 10,000. Frozen: other
instances, other versions of this program and your own tools must agree on it (vectors in the tests). The
salt is the route's, or the route's and the rule's; one longer than the 64 bytes that BLAKE2b takes as its
key (RFC 7693 2.1) is replaced by its own 64-byte digest. A client moves only when the weight passes its
bucket, and a key never says which version it gets.
"""

from hashlib import blake2b

from canaryproxy.model.table import FULL_WEIGHT, Affinity
from canaryproxy.routing.field_scan import is_client_id
from canaryproxy.routing.hashing import Hash
from canaryproxy.routing.request_view import RequestView
from canaryproxy.routing.split import Rng

MAX_SALT_BYTES = 64
CLIENT_ID_HALF = 2**52
"""Half of a client id: what is left of the 53 random bits of a float, so no bit of it is always zero."""


class ClientKey:
    """What identifies a client. `cookie` is the field that tells a client its new key, empty if it has one;
    `from_cookie`: the client keeps it in a cookie of ours.
    """

    def __init__(self, value: bytes, cookie: bytes = b"", *, from_cookie: bool = False) -> None:
        self.value = value
        self.cookie = cookie
        self.from_cookie = from_cookie

    def __repr__(self) -> str:
        return f"<ClientKey {self.value!r}{' new' if self.cookie else ''}>"


def salt_of(text: str) -> bytes:
    """A text as the key of the hash."""
    salt = text.encode("utf-8")
    return salt if len(salt) <= MAX_SALT_BYTES else blake2b(salt).digest()


def bucket_of(key: bytes, salt: bytes) -> int:
    """The bucket, 0..9999, of a client."""
    return Hash(salt).of(key) % FULL_WEIGHT


class AffinityKey:
    """What keeps the clients of one route on their buckets."""

    def __init__(self, affinity: Affinity) -> None:
        self._affinity = affinity
        self._by = affinity.by
        self._name = affinity.name.encode("ascii")
        self._attributes = attributes(affinity)

    def __repr__(self) -> str:
        return f"<AffinityKey {self._affinity!r}>"

    def key(self, request: RequestView, rng: Rng) -> ClientKey | None:
        """The client's key, or None where it brings none. With a cookie every client has one: a new one is made.

        Nearly all requests of a connection bring one cookie, so its last key is at hand.
        """
        if self._by == "cookie":
            known: ClientKey | None = request.client.key
            for value in request.cookie(self._name):
                if known is not None and known.from_cookie and known.value == value:
                    return known
                if is_client_id(value):
                    return ClientKey(value, from_cookie=True)
            new_key = b"%013x%013x" % (int(rng() * CLIENT_ID_HALF), int(rng() * CLIENT_ID_HALF))
            return ClientKey(new_key, self._cookie(new_key, request))
        if self._by == "header":
            values = request.header(self._name)
            return ClientKey(values[0]) if values and values[0] else None
        source = request.source()
        return None if source is None else ClientKey(str(source).encode("ascii"))

    def _cookie(self, key: bytes, request: RequestView) -> bytes:
        """The field that tells a client its key."""
        secure = b"; Secure" if self._affinity.secure or request.secure() else b""
        return b"Set-Cookie: %b=%b%b%b\r\n" % (self._name, key, self._attributes, secure)


def attributes(affinity: Affinity) -> bytes:
    """What stands behind the key in the field (RFC 6265 4.1), but Secure. Scripts cannot read the cookie; unless the
    config says otherwise it is sent on links from elsewhere, too.
    """
    parts = [f"; Path={affinity.path}"]
    if affinity.domain:
        parts.append(f"; Domain={affinity.domain}")
    if affinity.max_age is not None:
        parts.append(f"; Max-Age={affinity.max_age}")
    parts.append(f"; HttpOnly; SameSite={affinity.same_site}")
    if affinity.partitioned:
        parts.append("; Partitioned")
    return "".join(parts).encode("ascii")
