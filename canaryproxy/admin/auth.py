"""Who may do what: tokens and hosts. Pure."""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from canaryproxy.admin.problems import ApiError
from canaryproxy.config.schema.admin import AdminConfig, TokenConfig
from canaryproxy.control.route_states import Actor

ANONYMOUS = "anyone"
"""The actor where no tokens are configured."""


class Authenticator:
    """Decides on requests to the admin API by its config of the moment."""

    def __init__(self, config: Callable[[], AdminConfig | None]) -> None:
        self._config = config

    def __repr__(self) -> str:
        return f"<Authenticator {'guarded' if self.guarded else 'open'}>"

    @property
    def guarded(self) -> bool:
        """Whether tokens are needed."""
        config = self._config()
        return config is not None and not config.open

    def check_host(self, host: str, origin: str | None) -> None:
        """Refuse what a web page sends through its visitor's browser. Raises `ApiError`.

        With tokens any name will do: a browser that was tricked has none to send.
        """
        config = self._config()
        name = _hostname(host)
        if config is not None and config.open and not _is_local(name) and name not in config.hosts:
            raise ApiError(
                "unknown-host", f"add it to server.admin.hosts, or call the API by its address: {name[:100]}"
            )
        if origin is not None and origin.partition("://")[2] != host:
            raise ApiError("cross-site")

    def authenticate(self, authorization: str | None, address: str) -> Actor:
        """Who sends this header from this address. Raises `ApiError`."""
        config = self._config()
        if config is None or config.open:
            return Actor(ANONYMOUS, "write", address)
        scheme, _, given = (authorization or "").partition(" ")
        token = find(given.strip(), config.tokens) if scheme.lower() == "bearer" else None
        if token is not None:
            return Actor(token.name, token.role, address)
        raise ApiError(
            "unauthenticated",
            "send Authorization: Bearer TOKEN" if authorization is None else "this token is not known",
            headers={"WWW-Authenticate": 'Bearer realm="canaryproxy"'},
        )

    def authorize(self, actor: Actor, role: str) -> None:
        """Whether the actor has that role. Raises `ApiError`."""
        if role == "write" and actor.role != "write":
            raise ApiError("forbidden", f"{actor.name} may read only")


def find(given: str, tokens: tuple[TokenConfig, ...]) -> TokenConfig | None:
    """The token that was given. Takes the same time whichever it is, and whether it is one."""
    digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    found = None
    for token in tokens:
        if hmac.compare_digest(hashlib.sha256(token.secret.encode()).digest(), digest):
            found = token
    return found


def _hostname(host: str) -> str:
    """The name in a Host field, without port and brackets; empty where there is none."""
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
