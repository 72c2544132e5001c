"""Why an HTTP request of the control plane failed: a short sentence, and a `Kind` for machines. Pure.

All failed requests end here: health checks, metric sources, webhooks. The text of an exception is never passed on
whole: aiohttp and yarl quote the URL, whose path may be a secret.
"""

import errno
import os
import ssl
from dataclasses import dataclass
from socket import gaierror
from typing import Literal

import aiohttp

NetworkFailure = Literal["timeout", "refused", "reset", "closed", "unreachable", "dns", "tls"]
Kind = NetworkFailure | Literal["status", "not_http", "too_much", "ours", "other"]

# Which limit a response exceeded.
Why = Literal["head", "framing", "size", "encoded"]

EXCESS: dict[Why, str] = {"head": "response head", "framing": "chunk framing of the response", "size": "response"}

# Characters of a text that comes from outside.
MAX_REASON_LENGTH = 200

NO_WAY = frozenset((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL))
BROKEN = frozenset((errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED))

# The errno values of a shortage on this machine, which say nothing about the remote service.
LACKING = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

# OpenSSL's error codes for a peer that does not speak TLS.
NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a request failed; `why` is the exceeded limit, if any."""

    kind: Kind
    words: str
    why: Why | None = None

    def __str__(self) -> str:
        return self.words


def answered(status: int) -> Reason:
    """The status is not an accepted one."""
    return Reason("status", f"HTTP status {status}")


def too_much(why: Why, most: int) -> Reason:
    """The response exceeds a limit of so many bytes."""
    return Reason("too_much", f"{EXCESS[why]} exceeds {most >> 10} KiB", why)


def ours(what: str) -> Reason:
    """A local resource is missing, which says nothing about the remote service."""
    return Reason("ours", f"local failure: {what}")


def late(seconds: float, *, connected: bool = True) -> Reason:
    """The timeout of so many seconds has passed, before or after the connection was made."""
    return Reason("timeout", f"no {'response' if connected else 'connection'} within {seconds:g} s")


def reason_of(error: BaseException, seconds: float, *, connected: bool = True) -> Reason:
    """The reason for an exception of a request with a timeout of `seconds`. `connected`: a connection was made."""
    if isinstance(error, MemoryError):
        return ours("out of memory")
    if isinstance(error, TimeoutError):
        return late(seconds, connected=connected)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _tls(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _of_system(error.os_error)
    if isinstance(error, aiohttp.ClientError) and not isinstance(error, OSError):
        return _of_answer(error)
    return _of_system(error) if isinstance(error, OSError) else _of_ours(error)


def _of_answer(error: aiohttp.ClientError) -> Reason:
    """Connected, but the response was missing or incomplete."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Reason("closed", "connection closed without a response")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Reason("closed", "response is incomplete")
    if isinstance(error, aiohttp.ClientResponseError):
        return Reason("not_http", f"not an HTTP/1.1 response: {one_line(error.message)}")
    return _of_ours(error)


def _of_ours(error: BaseException) -> Reason:
    return Reason("other", f"invalid request ({type(error).__name__})")


def _of_system(error: BaseException) -> Reason:
    if isinstance(error, gaierror):
        return Reason("dns", f"name resolution failed: {one_line(error.strerror or str(error))}")
    if isinstance(error, ssl.SSLError):
        return _tls(error)
    number = getattr(error, "errno", None)
    if number == errno.ECONNREFUSED:
        return Reason("refused", "connection refused")
    if number in BROKEN or isinstance(error, ConnectionError):
        return Reason("reset", "connection reset")
    if number in LACKING:
        return ours(os.strerror(number))
    words = os.strerror(number) if isinstance(number, int) and number > 0 else str(error)
    return Reason("unreachable" if number in NO_WAY else "other", one_line(words).lower() or type(error).__name__)


def _tls(error: BaseException) -> Reason:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Reason("tls", f"certificate rejected: {one_line(error.verify_message)}")
    if isinstance(error, ssl.SSLError):
        code = getattr(error, "reason", None) or ""
        if code in NO_TLS:
            return Reason("tls", "not a TLS server")
        return Reason("tls", f"TLS handshake failed: {one_line(code.lower().replace('_', ' ') or str(error))}")
    return Reason("tls", f"certificate rejected: {one_line(str(error))}")


def one_line(text: str) -> str:
    """An untrusted text on one line, shortened, with `?` for unprintable characters."""
    line = " ".join(text.split())
    return "".join(one if one.isprintable() else "?" for one in line[:MAX_REASON_LENGTH])
