"""Secrets that are sent or expected: bearer tokens and values of headers. They are read together with the config and
never shown.

The only I/O is one bounded read of the file of a secret. A changed file is a changed config.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.files import read_named
from canaryproxy.config.types.rule import TOKEN

MAX_TOKEN_BYTES = 4096
EXPECTED = "expected a token: 1 to 4096 printable ASCII characters without spaces"
FILE_EXPECTED = "expected the path of a file that contains a token"

MAX_VALUE_BYTES = 8192
VALUE_EXPECTED = (
    'expected a text such as "${API_TOKEN}", or a file that contains it: {file: /run/secrets/token, prefix: "Bearer "}'
)
HIDDEN = "a value that is not shown"
UNUSABLE_FILE = "a file that cannot be used"
INVALID_NAME = "an invalid name"

_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?", re.ASCII)

# Fields of the connection, or of the framing of the message.
OWN_FIELDS = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, and the file that it was read from, if any."""

    value: str = field(repr=False)
    path: Path | None = None

    def __str__(self) -> str:
        return "a token" if self.path is None else str(self.path)


@dataclass(frozen=True, slots=True)
class HeaderValue:
    """The value of a header, and the file that it was read from, if any."""

    text: str = field(repr=False)
    path: Path | None = None

    def __str__(self) -> str:
        return "a value" if self.path is None else str(self.path)


def token(value: object) -> Token:
    """A token written in the config."""
    if not isinstance(value, str) or not _valid_token(value):
        raise InvalidValueError(EXPECTED, found="something else")
    return Token(value)


def token_file(value: object) -> Token:
    """A token from a file, without white space around it. A relative path is relative to the working directory."""
    path, content = _read(value, MAX_TOKEN_BYTES, FILE_EXPECTED)
    text = content.decode("ascii", "replace").strip()
    if not _valid_token(text):
        raise InvalidValueError(EXPECTED, found="a file that contains no token")
    return Token(text, path)


def _read(value: object, largest: int, expected: str) -> tuple[Path, bytes]:
    """As `read_named`, with an error that does not show the path."""
    try:
        return read_named(value, largest, expected)
    except InvalidValueError as wrong:
        raise InvalidValueError(wrong.hint, found=UNUSABLE_FILE) from None


def _valid_token(text: str) -> bool:
    return 0 < len(text) <= MAX_TOKEN_BYTES and all("!" <= one <= "~" for one in text)


def secret_text(*tokens: Token | None) -> str:
    """The first of several tokens that is given; empty for none."""
    return next((one.value for one in tokens if one is not None), "")


def no_auth(value: object) -> bool:
    """The word `none`, which leaves the API without authentication."""
    if value is None or value is False or value == "none":
        return True
    raise InvalidValueError("expected none (the API is open to every client that can reach it); for tokens, remove it")


def sent_header(value: object) -> str:
    """The name of a header that is sent, in lower case."""
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise InvalidValueError("expected a header's name, such as x-api-key", found=INVALID_NAME)
    name = value.lower()
    if name in OWN_FIELDS:
        raise InvalidValueError(
            f"remove it: {name} is set by the connection that sends the request", found=INVALID_NAME
        )
    return name


def header_value(value: object) -> HeaderValue:
    """A text, or a mapping with `file` and optionally `prefix`. White space around the content of a file is removed."""
    if isinstance(value, str):
        return HeaderValue(_valid_value(value.strip(" \t")))
    if not isinstance(value, dict) or "file" not in value or not value.keys() <= {"file", "prefix"}:
        raise InvalidValueError(VALUE_EXPECTED, found="a mapping" if isinstance(value, dict) else HIDDEN)
    prefix = value.get("prefix", "")
    if not isinstance(prefix, str):
        raise InvalidValueError(
            'expected `prefix` to be a text, such as "Bearer "', found="a `prefix` that is not text"
        )
    path, content = _read(value["file"], MAX_VALUE_BYTES, "expected the path of a file that contains the value")
    text = content.decode("latin-1").strip()  # never fails; `_valid_value` refuses what is not ASCII
    if not text:
        raise InvalidValueError("write the value into it", found="an empty file")
    return HeaderValue(_valid_value((prefix + text).strip(" \t")), path)


def _valid_value(text: str) -> str:
    if len(text) > MAX_VALUE_BYTES or not _VALUE.fullmatch(text):
        hint = f"expected at most {MAX_VALUE_BYTES} printable ASCII characters on one line"
        raise InvalidValueError(hint, found=HIDDEN)
    return text
