"""What keeps a client on its bucket, as users write it: by cookie, header or address, and the cookie's attributes.

Pure functions that raise `InvalidValueError`. A cookie that browsers would refuse or never send back is refused here.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.address import host_name
from canaryproxy.config.types.quantity import is_off
from canaryproxy.config.types.rule import COOKIE, RULE_NAME, cookie_name, header_name
from canaryproxy.model.table import Affinity, SameSite

AFFINITY_EXPECTED = "expected none, cookie, source, {cookie: NAME, max_age: 1h} or {header: NAME}"

KINDS = ("cookie", "header", "source")
ATTRIBUTES = ("max_age", "same_site", "domain", "path", "secure", "partitioned")
"""What only a cookie has."""

SAME_SITES: dict[str, SameSite] = {"lax": "Lax", "strict": "Strict", "none": "None"}
PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]{0,1023}", re.ASCII)
"""Visible ASCII without `;`, which ends an attribute (RFC 6265 4.1.1)."""


def affinity(read_age: Callable[[object], float]) -> Callable[[object], Affinity | None]:
    """A reader of what keeps a client on its bucket; `read_age` reads the cookie's life in seconds."""

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
            raise InvalidValueError(f"`{key}` belongs to a cookie: leave it out beside `{kind}`")
        if key not in keys:
            raise InvalidValueError(f"`{key}` is not known here: {', '.join(keys)} are")


def _kind(kind: str, value: object) -> Affinity:
    if kind == "header":
        return Affinity("header", header_name(value))
    if kind == "cookie":
        return Affinity("cookie", cookie_name(value))
    if value is not True:
        raise InvalidValueError("write `source: true`")
    return Affinity("source")


def _salt(value: object) -> str:
    if not isinstance(value, str) or not RULE_NAME.fullmatch(value):
        raise InvalidValueError(
            "a salt has 1 to 63 of a-z, 0-9, _ . - and begins with a letter or digit, such as a route's name"
        )
    return value


def _cookie(found: Affinity, value: Mapping[object, object], read_age: Callable[[object], float]) -> Affinity:
    cookie = replace(
        found,
        max_age=round(read_age(value["max_age"])) if "max_age" in value else None,
        same_site=_same_site(value.get("same_site", "lax")),
        domain=_domain(value["domain"]) if "domain" in value else "",
        path=_path(value.get("path", "/")),
        secure=_switch("secure", value.get("secure", False)),
        partitioned=_switch("partitioned", value.get("partitioned", False)),
    )
    _acceptable(cookie)
    return cookie


def _acceptable(cookie: Affinity) -> None:
    """Raises `InvalidValueError` for what browsers do not store (RFC 6265bis 5.7)."""
    prefix = next((one for one in ("__Host-", "__Secure-") if cookie.name.lower().startswith(one.lower())), "")
    reasons = {
        "`same_site: none`": cookie.same_site == "None",
        "`partitioned: true`": cookie.partitioned,
        f"a name that begins with {prefix}": prefix != "",
    }
    for reason, holds in reasons.items():
        if holds and not cookie.secure:
            raise InvalidValueError(
                f"browsers take {reason} only from a secure cookie: add `secure: true`, or leave it out",
                found="a cookie without `secure: true`",
            )
    if prefix == "__Host-" and (cookie.domain or cookie.path != "/"):
        raise InvalidValueError(
            "browsers take a name that begins with __Host- only with path / and without a domain",
            found=f"a cookie {cookie.name} with a {'domain' if cookie.domain else 'path'}",
        )


def _same_site(value: object) -> SameSite:
    text = value.lower() if isinstance(value, str) else ""
    if text not in SAME_SITES:
        raise InvalidValueError("expected `same_site: lax`, strict or none")
    return SAME_SITES[text]


def _domain(value: object) -> str:
    expected = "expected a cookie's domain: a host name such as example.com, which stands for all names below it, too"
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
    raise InvalidValueError("an IP address has no names below it: leave the cookie's domain out")


def _path(value: object) -> str:
    if not isinstance(value, str) or not PATH.fullmatch(value):
        raise InvalidValueError("expected a cookie's path: it begins with / and has no ; and no space")
    return value


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


def apart(routes: Mapping[str, tuple[Affinity | None, int]]) -> list[str]:
    """Sentences about routes that share a salt and give a client different versions all the same. Each has its affinity
    and its weight.
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
            found.append(f"routes.{name}: it shares the salt {salt} with {other}, whose clients have other keys")
        elif weight != before_weight:
            found.append(
                f"routes.{name}: it shares the salt {salt} with {other}, which has another weight: clients "
                "whose bucket lies between the two get different versions"
            )
    return found


def misplaced(value: Affinity, hosts: tuple[str, ...], paths: tuple[str, ...]) -> list[str]:
    """Sentences about hosts and paths of a route that its cookie is never sent to."""
    found = []
    if value.domain:
        outside = [host for host in hosts if not f".{host.removeprefix('*.')}".endswith(f".{value.domain}")]
        found += [f"affinity: a cookie for {value.domain} is not taken from {host}" for host in outside]
    below = value.path.rstrip("/")
    outside = [path for path in paths if path != (below or "/") and not path.startswith(f"{below}/")]
    return found + [f"affinity: a cookie for {value.path} is not sent to all of {path}" for path in outside]
