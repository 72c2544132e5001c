"""The bucket of a client, which stays the same as long as the client keeps its key.

`bucket = blake2b(key, key=salt, digest_size=8)`, read as a big-endian integer, modulo 10,000. This never changes: other
instances, other versions and your own tools must agree on it (test vectors in the tests). The salt is that of the
route, or of the route and the rule; a salt longer than the 64 bytes of a BLAKE2b key (RFC 7693 2.1) is replaced by its
64-byte digest. A client changes its version only when the weight passes its bucket, and a key does not reveal the
version.
"""

from hashlib import blake2b

from canaryproxy.model.table import FULL_WEIGHT, Affinity
from canaryproxy.routing.field_scan import is_client_id
from canaryproxy.routing.hashing import Hash
from canaryproxy.routing.request_view import RequestView
from canaryproxy.routing.split import Rng

MAX_SALT_BYTES = 64
# Range of half a client id: 52 of the 53 random bits of a float, so that no bit is always zero.
CLIENT_ID_HALF = 2**52


class ClientKey:
    """The key of a client. `cookie` is the Set-Cookie line for a new key, else empty; `from_cookie`: the key came from
    our cookie.
    """

    def __init__(self, value: bytes, cookie: bytes = b"", *, from_cookie: bool = False) -> None:
        self.value = value
        self.cookie = cookie
        self.from_cookie = from_cookie

    def __repr__(self) -> str:
        return f"<ClientKey {self.value!r}{' new' if self.cookie else ''}>"


def salt_of(text: str) -> bytes:
    """A text as a salt of at most `MAX_SALT_BYTES`."""
    salt = text.encode("utf-8")
    return salt if len(salt) <= MAX_SALT_BYTES else blake2b(salt).digest()


def bucket_of(key: bytes, salt: bytes) -> int:
    """The bucket, 0..9999, of a client."""
    return Hash(salt).of(key) % FULL_WEIGHT


class AffinityKey:
    """The affinity of one route, compiled."""

    def __init__(self, affinity: Affinity) -> None:
        self._affinity = affinity
        self._by = affinity.by
        self._name = affinity.name.encode("ascii")
        self._attributes = attributes(affinity)

    def __repr__(self) -> str:
        return f"<AffinityKey {self._affinity!r}>"

    def key(self, request: RequestView, rng: Rng) -> ClientKey | None:
        """The client's key, or None. With affinity by cookie, a client without a key gets a new one.

        Nearly all requests of a connection have the same cookie, so its last key is cached.
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
        """The Set-Cookie line for a key."""
        secure = b"; Secure" if self._affinity.secure or request.secure() else b""
        return b"Set-Cookie: %b=%b%b%b\r\n" % (self._name, key, self._attributes, secure)


def attributes(affinity: Affinity) -> bytes:
    """The attributes of the cookie (RFC 6265 4.1) but Secure. HttpOnly: scripts need not read the key."""
    parts = [f"; Path={affinity.path}"]
    if affinity.domain:
        parts.append(f"; Domain={affinity.domain}")
    if affinity.max_age is not None:
        parts.append(f"; Max-Age={affinity.max_age}")
    parts.append(f"; HttpOnly; SameSite={affinity.same_site}")
    if affinity.partitioned:
        parts.append("; Partitioned")
    return "".join(parts).encode("ascii")
