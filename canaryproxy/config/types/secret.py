"""Tokens of the admin API: read when the config is, never shown.

Pure but for the one bounded read of a token's file. A file that changes is a changed config.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.config.types.files import read_named

MAX_TOKEN_BYTES = 4096
EXPECTED = "expected a token: 1 to 4096 printable ASCII characters without spaces"
FILE_EXPECTED = "expected the path of a file that holds a token"


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, and the file it came from, if it did."""

    value: str = field(repr=False)
    path: Path | None = None

    def __str__(self) -> str:
        return "a token" if self.path is None else str(self.path)


def token(value: object) -> Token:
    """A token as text."""
    if not isinstance(value, str) or not _valid_token(value):
        raise InvalidValueError(EXPECTED, found="something else")
    return Token(value)


def token_file(value: object) -> Token:
    """A token from a file, white space around it left out; a relative path counts from the working directory."""
    try:
        path, content = read_named(value, MAX_TOKEN_BYTES, FILE_EXPECTED)
    except InvalidValueError as wrong:
        raise InvalidValueError(wrong.hint, found="a file that cannot be used") from None
    text = content.decode("ascii", "replace").strip()
    if not _valid_token(text):
        raise InvalidValueError(EXPECTED, found="a file that holds no token")
    return Token(text, path)


def _valid_token(text: str) -> bool:
    return 0 < len(text) <= MAX_TOKEN_BYTES and all("!" <= one <= "~" for one in text)


def role(value: object) -> Literal["read", "write"]:
    """`read` or `write`."""
    if value == "read":
        return "read"
    if value == "write":
        return "write"
    raise InvalidValueError("expected read or write")


def no_auth(value: object) -> bool:
    """The one word that leaves the API open."""
    if value is None or value is False or value == "none":
        return True
    raise InvalidValueError("expected none, which leaves the API open to everyone who reaches it; else leave it out")
