"""Names, host patterns and paths of routes.

Pure functions that raise `InvalidValueError`. Each result has the one spelling that the routing table uses, so two
routes claim the same host or path exactly when the results are equal.
"""

import ipaddress
import re
from urllib.parse import quote

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.address import host_name

HOST_EXPECTED = 'expected a host such as shop.example.com or "*.example.com"'
PATH_EXPECTED = "expected a path that begins with /, such as /api"
NAME_EXPECTED = "has 1 to 63 of a-z, 0-9, _ . - and begins with a letter or digit, such as"

# Characters of a path prefix; a quarter of the default of `uri_bytes`.
MAX_PATH_LENGTH = 2048

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}", re.ASCII)
_VERSION = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})", re.ASCII)
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def route_name(value: object) -> str:
    """The name of a route: usable as a metric label, a URL segment and a file name."""
    return _name(value, f"a route's name {NAME_EXPECTED} shop", "an invalid name")


def rule_name(value: object) -> str:
    """The name of a rule, goal, check or hook: usable as a metric label and a URL segment."""
    return _name(value, f"a name {NAME_EXPECTED} testers")


def _name(value: object, expected: str, found: str | None = None) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    slug = re.sub(r"[^a-z0-9_.-]+", "-", value.lower()).strip("-_.")[:63] if isinstance(value, str) else ""
    raise InvalidValueError(f"{expected}: write {slug}" if slug else expected, found=found)


def version_text(value: object) -> str:
    """The name of a version: a tag, a digest or an image. A number is refused, since YAML reads `1.10` as 1.1."""
    if isinstance(value, (int, float)):
        raise InvalidValueError(f'write it in quotes, such as "{value}": a number may lose its zeros')
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        raise InvalidValueError(
            'expected a version\'s name, such as v42 or "1.10": 1 to 200 visible characters without spaces'
        )
    return value


def host_pattern(value: object) -> str:
    """An exact host or `*.suffix`, lower case, without port and trailing dot.

    An IPv6 address is written in brackets, as in a Host field.
    """
    if not isinstance(value, str) or not value.strip() or value != value.strip():
        raise InvalidValueError(HOST_EXPECTED)
    if "://" in value or "/" in value:
        raise InvalidValueError("write only the host, without scheme and path; paths have a key of their own, `paths`")
    if value == "*":
        raise InvalidValueError("leave out `hosts` to match any host")
    if value.startswith("["):
        return _bracketed(value)
    host, colon, _ = value.partition(":")
    if colon and value.count(":") == 1:
        raise InvalidValueError(f"hosts are matched on every port: write {host}" if host else HOST_EXPECTED)
    suffix = value.removeprefix("*.")
    if "*" in suffix:
        raise InvalidValueError("a `*` may only replace whole labels at the front, as in *.example.com")
    name = host_name(suffix)
    if suffix != value and name.rpartition(".")[2].isdigit():
        raise InvalidValueError(f"an IP address cannot have a wildcard; {HOST_EXPECTED}")
    return name if suffix == value else f"*.{name}"


def _bracketed(value: str) -> str:
    inside, _, after = value[1:].partition("]")
    try:
        literal = f"[{ipaddress.IPv6Address(inside)}]"
    except ValueError:
        raise InvalidValueError("the text in brackets is not an IPv6 address; write it like [::1]") from None
    if after:
        raise InvalidValueError(f"hosts are matched on every port: write {literal}")
    return literal


def path_prefix(value: object) -> str:
    """A prefix by whole segments: `/api` matches `/api` and `/api/x`, but not `/apix`.

    `/api/` is the same prefix as `/api`. Percent-encodings are returned in upper case.
    """
    if not isinstance(value, str) or not value.startswith("/"):
        raise InvalidValueError(_start_hint(value))
    if len(value) > MAX_PATH_LENGTH:
        raise InvalidValueError(f"a path has at most {MAX_PATH_LENGTH} characters")
    if "?" in value or "#" in value:
        raise InvalidValueError(f"a path has no query and no fragment: write {re.split('[?#]', value)[0]}")
    if value.endswith("*"):
        raise InvalidValueError(f"a path is a prefix already: write {value.rstrip('*').rstrip('/') or '/'}")
    _refuse_bad_encoding(value)
    segments = value.removesuffix("/").split("/")[1:]
    if "" in segments:
        raise InvalidValueError(f"a path has no empty segments: write {re.sub('/+', '/', value)}")
    if "." in segments or ".." in segments:
        raise InvalidValueError(
            "a path has no segments . and ..: they are resolved before matching; write the resolved path"
        )
    return _ENCODED.sub(lambda match: match[0].upper(), "/" + "/".join(segments))


def exact_path(value: object) -> str:
    """A path that must be equal, including a slash at its end, in the spelling that requests are matched in."""
    prefix = path_prefix(value)
    whole = isinstance(value, str) and value.endswith("/") and prefix != "/"
    return f"{prefix}/" if whole else prefix


def target(value: object) -> str:
    """The request target of a health check: a path, with or without a query."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise InvalidValueError(_start_hint(value))
    if (
        len(value) > MAX_PATH_LENGTH
        or not value.isascii()
        or any(one.isspace() or not one.isprintable() for one in value)
    ):
        raise InvalidValueError(
            f"expected a path of at most {MAX_PATH_LENGTH} visible ASCII characters; percent-encode others"
        )
    return value


def _start_hint(value: object) -> str:
    if isinstance(value, str) and value and "://" not in value and _PATH.fullmatch(value):
        return f"a path begins with /: write /{value}"
    return PATH_EXPECTED


def _refuse_bad_encoding(value: str) -> None:
    if not _PATH.fullmatch(value):
        corrected = quote(value, safe="/!$&'()*+,;=:@~%", errors="replace")
        if _PATH.fullmatch(corrected):
            raise InvalidValueError(f"some characters need percent-encoding: write {corrected}")
        raise InvalidValueError("a % in a path must be followed by two hexadecimal digits; a plain percent sign is %25")
    codes = {int(code, 16) for code in _ENCODED.findall(value)}
    if 0 in codes:
        raise InvalidValueError("requests with %00 in the path are refused: end the prefix before it")
    if any(chr(code) in _UNRESERVED for code in codes):
        plain = _ENCODED.sub(lambda match: _decoded(match[0], int(match[1], 16)), value)
        raise InvalidValueError(f"ordinary characters are not percent-encoded: write {plain}")


def _decoded(text: str, code: int) -> str:
    return chr(code) if chr(code) in _UNRESERVED else text
