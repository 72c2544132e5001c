"""Authentication and authorization by token, and the check of `Host` and `Origin`. Pure."""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from canaryproxy.admin.problems import ApiError
from canaryproxy.config.schema.admin import AdminConfig, TokenConfig
from canaryproxy.control.route_states import Actor

# Name of the actor where no tokens are configured.
ANONYMOUS = "anyone"


class Authenticator:
    """Checks requests to the admin API against its current configuration."""

    def __init__(self, config: Callable[[], AdminConfig | None]) -> None:
        self._config = config

    def __repr__(self) -> str:
        return f"<Authenticator {'guarded' if self.guarded else 'open'}>"

    @property
    def guarded(self) -> bool:
        """Whether tokens are required."""
        config = self._config()
        return config is not None and not config.open

    def check_host(self, host: str, origin: str | None) -> None:
        """Refuse cross-site requests and DNS rebinding. Raises `ApiError`."""
        # With tokens any host name is accepted: a tricked browser has no token to send.
        config = self._config()
        name = _hostname(host)
        if config is not None and config.open and not _is_local(name) and name not in config.hosts:
            raise ApiError("unknown-host", f"add {name[:100]} to server.admin.hosts, or use the API's IP address")
        if origin is not None and origin.partition("://")[2] != host:
            raise ApiError("cross-site")

    def authenticate(self, authorization: str | None, address: str) -> Actor:
        """The actor of an `Authorization` field and a client address. Raises `ApiError`."""
        config = self._config()
        if config is None or config.open:
            return Actor(ANONYMOUS, "write", address)
        scheme, _, given = (authorization or "").partition(" ")
        token = find(given.strip(), config.tokens) if scheme.lower() == "bearer" else None
        if token is not None:
            return Actor(token.name, token.role, address)
        raise ApiError(
            "unauthenticated",
            "send Authorization: Bearer TOKEN" if authorization is None else "unknown token",
            headers={"WWW-Authenticate": 'Bearer realm="canaryproxy"'},
        )

    def authorize(self, actor: Actor, role: str) -> None:
        """Require a role of the actor. Raises `ApiError`."""
        if role == "write" and actor.role != "write":
            raise ApiError("forbidden", f"{actor.name} may read only")


def find(given: str, tokens: tuple[TokenConfig, ...]) -> TokenConfig | None:
    """The token that matches, compared in constant time; None without a match."""
    # All tokens are compared, as digests of one length: the time tells nothing about their number or length.
    digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    found = None
    for token in tokens:
        if hmac.compare_digest(hashlib.sha256(token.secret.encode()).digest(), digest):
            found = token
    return found


def _hostname(host: str) -> str:
    """The name in a Host field without port and brackets; empty if invalid."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
