"""When the certificates of a config end: those we show to clients and to upstreams, and the authorities we trust.

A chain ends with the first of its certificates. A file of authorities ends with the last one: after a change of
authorities the old one stays beside the new one until it ends.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from canaryproxy.config.problems import Loc, path_text
from canaryproxy.config.types.certificate import PemFile, certificates

if TYPE_CHECKING:
    from canaryproxy.config.schema.outbound import UpstreamTlsConfig
    from canaryproxy.config.schema.root import Config

Role = Literal["server", "client", "client_ca", "ca"]

WARNING_SECONDS = 30 * 86_400.0
"""Seconds before its end from which a certificate is warned of."""

CACHE_SIZE = 4096


class CertificateUse(NamedTuple):
    """A file with certificates: what it is for, where the config names it, and from when until when it holds, in
    seconds since 1970. `server` and `client` are what we show to clients and to others; `client_ca` and `ca` are whom
    we trust to say who clients and others are.
    """

    role: Role
    place: str
    file: str
    begins: float
    ends: float


class ExpiryWarning(NamedTuple):
    """What is wrong with a file of certificates, in a sentence; `over`: it is of no use."""

    held: CertificateUse
    words: str
    over: bool


def held(config: "Config") -> Iterator[CertificateUse]:
    """All files with certificates, in the order of the config."""
    for number, listener in enumerate(config.server.listen):
        if listener.tls is not None:
            here: Loc = ("server", "listen", number, "tls")
            for position, cert in enumerate(listener.tls.certs):
                yield _held("server", (*here, "certs", position, "cert"), cert.cert)
            if listener.tls.client_ca is not None:
                yield _held("client_ca", (*here, "client_ca"), listener.tls.client_ca)
    for loc, tls in _outbound(config):
        if tls.cert is not None:
            yield _held("client", (*loc, "cert"), tls.cert)
        if tls.ca is not None:
            yield _held("ca", (*loc, "ca"), tls.ca)


def _outbound(config: "Config") -> Iterator[tuple[Loc, "UpstreamTlsConfig"]]:
    """TLS to others, and where it stands."""
    for name, route in config.routes.items():
        sections: list[tuple[Loc, UpstreamTlsConfig | None]] = [
            ((version, "tls"), side.tls) for version, side in zip(("stable", "canary"), route.sides, strict=False)
        ]
        if route.analysis is not None:
            checks, resources = enumerate(route.analysis.checks), enumerate(route.analysis.resources)
            sections += [(("analysis", "resources", at, "tls"), one.tls) for at, one in resources]
            sections += [(("analysis", "checks", at, "tls"), one.tls) for at, one in checks]
        sections += [(("rollout", "hooks", at, "tls"), one.tls) for at, one in enumerate(route.rollout.hooks)]
        if route.rollout.notify is not None:
            sections.append((("rollout", "notify", "tls"), route.rollout.notify.tls))
        for loc, tls in sections:
            if tls is not None:
                yield ("routes", name, *loc), tls


def _held(role: Role, loc: Loc, file: PemFile) -> CertificateUse:
    begins, first, last = span(file)
    return CertificateUse(role, path_text(loc), str(file), begins, first if role in ("server", "client") else last)


@lru_cache(maxsize=CACHE_SIZE)
def span(file: PemFile) -> tuple[float, float, float]:
    """From when the certificates of a file hold, all of them, when the first one ends, and when the last one does."""
    found = certificates(file)
    ends = [one.not_valid_after_utc.timestamp() for one in found]
    return found[0].not_valid_before_utc.timestamp(), min(ends), max(ends)


def complaints(config: "Config", now: float) -> list[ExpiryWarning]:
    """The certificates that have ended, will soon, or do not hold yet."""
    found = []
    for one in dict.fromkeys(held(config)):
        if one.ends <= now:
            found.append(ExpiryWarning(one, f"{one.place}: {one.file} expired on {_day(one.ends)}", over=True))
        elif one.begins > now:
            found.append(
                ExpiryWarning(one, f"{one.place}: {one.file} is not valid before {_day(one.begins)}", over=True)
            )
        elif one.ends - now < WARNING_SECONDS:
            days = int((one.ends - now) // 86_400)
            left = f"in {days} day{'s' * (days != 1)}" if days else "in less than a day"
            found.append(ExpiryWarning(one, f"{one.place}: {one.file} expires on {_day(one.ends)}, {left}", over=False))
    return found


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
