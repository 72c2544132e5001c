"""The validity of the certificates in a config: those shown to clients and upstreams, and trusted authorities.

A chain expires with the first of its certificates. A file of authorities expires with the last one: during a change of
authorities it contains the old and the new one.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from canaryproxy.config.problems import Loc, path_text
from canaryproxy.config.types.certificate import PemFile, certificates

Role = Literal["server", "client", "client_ca", "ca"]

# Seconds before its expiry at which a certificate is reported: time for a manual renewal.
WARNING_SECONDS = 30 * 86_400.0

# Files whose parsed dates are cached, since `/metrics` reads them at every scrape.
CACHE_SIZE = 4096


class CertificateUse(NamedTuple):
    """A file with certificates, its role, its key in the config, and its validity in seconds since 1970.

    `server` and `client` certificates are shown to clients and to other servers; `client_ca` and `ca` are the
    authorities that are trusted to sign those of clients and of other servers.
    """

    role: Role
    place: str
    file: str
    begins: float
    ends: float


class ExpiryWarning(NamedTuple):
    """A sentence about a certificate file; `over`: the certificate is not valid now."""

    held: CertificateUse
    words: str
    over: bool


def certificate_use(loc: Loc, file: PemFile) -> CertificateUse:
    """The use of the file at a path, whose last key is `cert`, `ca` or `client_ca`."""
    key, ours = loc[-1], loc[0] == "server"
    role: Role = "client_ca" if key == "client_ca" else "ca" if key == "ca" else "server" if ours else "client"
    begins, first, last = span(file)
    return CertificateUse(role, path_text(loc), str(file), begins, first if role in ("server", "client") else last)


@lru_cache(maxsize=CACHE_SIZE)
def span(file: PemFile) -> tuple[float, float, float]:
    """The beginning of the first certificate of a file, and the earliest and latest end, in seconds since 1970."""
    found = certificates(file)
    ends = [one.not_valid_after_utc.timestamp() for one in found]
    return found[0].not_valid_before_utc.timestamp(), min(ends), max(ends)


def expiry_warnings(uses: Iterable[CertificateUse], now: float) -> list[ExpiryWarning]:
    """Warnings about certificates that have expired, expire soon, or are not valid yet."""
    found = []
    for one in dict.fromkeys(uses):
        if one.ends <= now:
            found.append(ExpiryWarning(one, f"{one.place}: {one.file} expired on {_day(one.ends)}", over=True))
        elif one.begins > now:
            words = f"{one.place}: {one.file} is not valid before {_day(one.begins)}"
            found.append(ExpiryWarning(one, words, over=True))
        elif one.ends - now < WARNING_SECONDS:
            days = int((one.ends - now) // 86_400)
            left = f"in {days} day{'s' * (days != 1)}" if days else "in less than a day"
            found.append(ExpiryWarning(one, f"{one.place}: {one.file} expires on {_day(one.ends)}, {left}", over=False))
    return found


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
