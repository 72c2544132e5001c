"""Affinity as users write it: by cookie, header or client address, with the attributes of the cookie.

Pure functions that raise `InvalidValueError`. A cookie that browsers would not store or never send back is refused.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.address import host_name
from canaryproxy.config.types.match import NAME
from canaryproxy.config.types.readers import is_off, matching
from canaryproxy.config.types.rule import COOKIE, cookie_name, header_name
from canaryproxy.model.table import Affinity, SameSite

AFFINITY_EXPECTED = "expected none, cookie, source, {cookie: NAME, max_age: 1h} or {header: NAME}"

PATH_EXPECTED = "expected a cookie's path: it begins with / and contains no ; and no space"

KINDS = ("cookie", "header", "source")
# Keys that only a cookie may have.
ATTRIBUTES = ("max_age", "same_site", "domain", "path", "secure", "partitioned")

SAME_SITES: dict[str, SameSite] = {"lax": "Lax", "strict": "Strict", "none": "None"}
# Visible ASCII without `;`, which ends an attribute (RFC 6265 4.1.1).
PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]{0,1023}", re.ASCII)


def affinity(read_age: Callable[[object], float]) -> Callable[[object], Affinity | None]:
    """A reader of an affinity; `read_age` reads the lifetime of the cookie in seconds."""

    def read(value: object) -> Affinity | None:
        if is_off(value):
            return None
        if value == "cookie":
            return Affinity("cookie", COOKIE)
        if value == "source":
            return Affinity("source")
        if not isinstance(value, dict) or len(value.keys() & set(KINDS)) != 1:
            raise InvalidValueError(AFFINITY_EXPECTED)
        kind = next(kind for kind in KINDS if kind in value)
        _known(value, kind)
        found = _kind(kind, value[kind])
        if "salt" in value:
            found = replace(found, salt=_salt(value["salt"]))
        return _cookie(found, value, read_age) if kind == "cookie" else found

    return read


def _known(value: Mapping[object, object], kind: str) -> None:
    keys = (kind, "salt", *(ATTRIBUTES if kind == "cookie" else ()))
    for key in value:
        if key in ATTRIBUTES and key not in keys:
            raise InvalidValueError(f"remove `{key}`: it is an attribute of a cookie, not of `{kind}`")
        if key not in keys:
            raise InvalidValueError(f"`{key}` is not a key of an affinity; known here: {', '.join(keys)}")


def _kind(kind: str, value: object) -> Affinity:
    if kind == "header":
        return Affinity("header", header_name(value))
    if kind == "cookie":
        return Affinity("cookie", cookie_name(value))
    if value is not True:
        raise InvalidValueError("write `source: true`")
    return Affinity("source")


_salt = matching(
    NAME, "a salt has 1 to 63 of a-z, 0-9, _ . - and begins with a letter or digit, such as a route's name"
)


def _cookie(found: Affinity, value: Mapping[object, object], read_age: Callable[[object], float]) -> Affinity:
    cookie = replace(
        found,
        max_age=round(read_age(value["max_age"])) if "max_age" in value else None,
        same_site=_same_site(value.get("same_site", "lax")),
        domain=_domain(value["domain"]) if "domain" in value else "",
        path=matching(PATH, PATH_EXPECTED)(value.get("path", "/")),
        secure=_switch("secure", value.get("secure", False)),
        partitioned=_switch("partitioned", value.get("partitioned", False)),
    )
    _acceptable(cookie)
    return cookie


def _acceptable(cookie: Affinity) -> None:
    """Raises `InvalidValueError` for a cookie that browsers do not store (RFC 6265bis 5.7)."""
    prefix = next((one for one in ("__Host-", "__Secure-") if cookie.name.lower().startswith(one.lower())), "")
    reasons = {
        "`same_site: none`": cookie.same_site == "None",
        "`partitioned: true`": cookie.partitioned,
        f"a name that begins with {prefix}": prefix != "",
    }
    for reason, holds in reasons.items():
        if holds and not cookie.secure:
            raise InvalidValueError(
                f"browsers accept {reason} only in a secure cookie: add `secure: true`, or remove it",
                found="a cookie without `secure: true`",
            )
    if prefix == "__Host-" and (cookie.domain or cookie.path != "/"):
        raise InvalidValueError(
            "browsers accept a name that begins with __Host- only with path / and without a domain",
            found=f"a cookie {cookie.name} with a {'domain' if cookie.domain else 'path'}",
        )


def _same_site(value: object) -> SameSite:
    text = value.lower() if isinstance(value, str) else ""
    if text not in SAME_SITES:
        raise InvalidValueError("expected `same_site: lax`, strict or none")
    return SAME_SITES[text]


def _domain(value: object) -> str:
    expected = "expected a cookie's domain: a host name such as example.com, which includes its subdomains"
    if not isinstance(value, str) or not value.strip("."):
        raise InvalidValueError(expected)
    try:
        name = host_name(value.removeprefix("."))
    except InvalidValueError:
        raise InvalidValueError(expected) from None
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name
    raise InvalidValueError("an IP address has no subdomains: remove the cookie's domain")


def _switch(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidValueError(f"expected `{key}: true` or false")
    return value


def affinity_text(value: Affinity | None) -> str:
    """The shortest way to write an affinity."""
    if value is None:
        return "none"
    text = value.by if not value.name or value.name == COOKIE else f"{value.by} {value.name}"
    return f"{text} salt {value.salt}" if value.salt else text


def shared_salt_warnings(routes: Mapping[str, tuple[Affinity | None, int]]) -> list[str]:
    """Warnings about routes that share a salt and can still give a client different versions. `routes` has the affinity
    and the weight of each route.
    """
    found = []
    first: dict[str, str] = {}
    for name, (one, weight) in routes.items():
        if one is None:
            continue
        salt = one.salt or name
        other = first.setdefault(salt, name)
        before, before_weight = routes[other]
        if other == name or before is None:
            continue
        if (one.by, one.name) != (before.by, before.name):
            found.append(f"routes.{name}: shares the salt {salt} with {other}, which has another kind of affinity")
        elif weight != before_weight:
            found.append(
                f"routes.{name}: shares the salt {salt} with {other}, which has another weight: clients with a "
                "bucket between the two weights get different versions"
            )
    return found


def cookie_scope_warnings(value: Affinity, hosts: tuple[str, ...], paths: tuple[str, ...]) -> list[str]:
    """Warnings about hosts and paths of a route that its cookie is never sent to."""
    found = []
    if value.domain:
        outside = [host for host in hosts if not f".{host.removeprefix('*.')}".endswith(f".{value.domain}")]
        found += [f"affinity: browsers do not accept a cookie for {value.domain} from {host}" for host in outside]
    below = value.path.rstrip("/")
    outside = [path for path in paths if path != (below or "/") and not path.startswith(f"{below}/")]
    return found + [f"affinity: browsers do not send a cookie for {value.path} to all of {path}" for path in outside]
