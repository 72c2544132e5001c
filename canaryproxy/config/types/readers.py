"""Readers that serve every kind of value: choices, optional values, switches, paths and lists.

Pure functions that raise `InvalidValueError`. YAML lists come out as tuples, since a config never changes.
"""

import os
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar, get_args

from canaryproxy.config.problems import InvalidValueError

T = TypeVar("T")

# Bytes of a path that fit into a socket address (unix(7)).
MAX_SOCKET_PATH_BYTES = 107


def is_off(value: object) -> bool:
    """Whether a value means `off` or `none`: one of these words, false, or no value."""
    return value is None or value is False or (isinstance(value, str) and value.lower() in ("off", "none"))


def switch(value: object) -> bool:
    """True or false; `off` and `none` are false."""
    if value is True or is_off(value):
        return value is True
    raise InvalidValueError("expected true or false")


def choice(literal: Any) -> Callable[[object], Any]:
    """A reader of one of the words of a `Literal` type."""
    words: tuple[str, ...] = get_args(literal)
    expected = f"expected {', '.join(words[:-1])} or {words[-1]}"

    def read(value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise InvalidValueError(expected)

    return read


def optional(read: Callable[[object], T], word: str = "none") -> Callable[[object], T | None]:
    """A reader that also accepts `word`, as None. For `none` it also accepts `off`, false and no value."""

    def read_optional(value: object) -> T | None:
        if value == word or (word == "none" and is_off(value)):
            return None
        try:
            return read(value)
        except InvalidValueError as wrong:
            more = f", or `{word}`" if "expected " in wrong.hint else ""
            raise InvalidValueError(f"{wrong.hint}{more}", found=wrong.found) from None

    return read_optional


def matching(pattern: str | re.Pattern[str], expected: str) -> Callable[[object], str]:
    """A reader of a text that matches a regular expression as a whole."""

    def read(value: object) -> str:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        raise InvalidValueError(expected)

    return read


def file_path(expected: str) -> Callable[[object], str]:
    """A reader of the path of a file that is opened later."""
    return matching(r"(?s)(?!\s*\Z)[^\0]+", expected)


def socket_path(value: object) -> str:
    """The path of a Unix socket."""
    path = file_path("expected the path of a socket")(value)
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise InvalidValueError(f"expected the path of a socket, at most {MAX_SOCKET_PATH_BYTES} bytes long")
    return path


def sequence(value: object) -> tuple[object, ...]:
    """A list, empty or not. For a single text the error shows how to write a list of it."""
    if isinstance(value, list):
        return tuple(value)
    raise InvalidValueError(
        f"expected a list: write [{value}]" if isinstance(value, str) and value else "expected a list"
    )


def distinct(kind: str) -> Callable[[tuple[T, ...]], tuple[T, ...]]:
    """A check that the names of mappings or sections in a list differ; `kind` is the word for one of them."""

    def check(items: tuple[T, ...]) -> tuple[T, ...]:
        found = [item.get("name") if isinstance(item, dict) else getattr(item, "name", None) for item in items]
        for name, count in Counter(name for name in found if isinstance(name, str)).most_common(1):
            if count > 1:
                raise InvalidValueError(f"give each {kind} a name of its own", found=f"{count} {kind}s named {name}")
        return items

    return check


def non_empty_sequence(value: object) -> tuple[object, ...]:
    """A list with at least one item, for keys where an empty list could mean everything or nothing."""
    items = sequence(value)
    if not items:
        raise InvalidValueError("leave the key out for its default, or give at least one item", found="an empty list")
    return items


def listeners(value: object) -> tuple[object, ...]:
    """A list of listeners. A single address is short for a list with one listener."""
    if isinstance(value, dict):
        raise InvalidValueError("several listeners are a list: begin each with `- address: `")
    return non_empty_sequence(value) if isinstance(value, list) else ({"address": value},)
