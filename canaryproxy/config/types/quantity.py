"""Quantities as users write them: durations, sizes, percentages, counts, switches.

Pure functions, in pairs: a reader (`duration("10s") == 10.0`) raises `InvalidValueError` with a hint, a writer
(`duration_text(10.0) == "10s"`) gives back the shortest form. Arithmetic is exact (`Decimal`), so
0.29 % is 29 basis points and not 28. YAML's numbers arrive as int or float; a bool is never a number.
"""

import math
import os
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.model.table import FULL_WEIGHT

PERCENT_EXPECTED = "expected a percentage from 0 to 100 with at most two decimals, such as 5 or 0.25"
SWITCH_EXPECTED = "expected true or false"

_UNITS_OF_TIME = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_UNITS_OF_SIZE = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_MAX_LENGTH = 20
"""Characters of a quantity worth reading: more is a mistake, and long numbers are slow to convert."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_COMPOUND = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h)){2,}", re.ASCII)
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB)?", re.ASCII)
_SIZE_LOOSE = re.compile(r"(\d+)\s*([kmg])(?:i?b)?", re.ASCII | re.IGNORECASE)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%", re.ASCII)
_COUNT = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def duration(minimum: float, maximum: float) -> Callable[[object], float]:
    """A reader of durations: text with a unit to seconds, within [minimum, maximum] seconds.

    A plain 0 is understood where zero is allowed; any other number needs its unit.
    """
    expected = (
        f"expected a duration from {duration_text(minimum)} to {duration_text(maximum)}, such as 500ms, 10s or 5m"
    )

    def read(value: object) -> float:
        number = _number(value)
        if number is not None:
            return _unitless_duration(number, minimum, expected)
        if not isinstance(value, str) or len(value) > _MAX_LENGTH:
            raise InvalidValueError(expected)
        match = _DURATION.fullmatch(value)
        if match is None:
            raise InvalidValueError(_duration_hint(value, expected))
        seconds = float(Decimal(match[1]) * _UNITS_OF_TIME[match[2]])
        if not minimum <= seconds <= maximum:
            raise InvalidValueError(expected)
        return seconds

    return read


def duration_or_never(minimum: float, maximum: float) -> Callable[[object], float | None]:
    """As `duration`, and None for `never`."""
    read_duration = duration(minimum, maximum)

    def read(value: object) -> float | None:
        if value == "never":
            return None
        try:
            return read_duration(value)
        except InvalidValueError as wrong:
            raise InvalidValueError(f"{wrong.hint}, or `never`") from None

    return read


def _unitless_duration(number: Decimal, minimum: float, expected: str) -> float:
    if number == 0 and minimum == 0:
        return 0.0
    if not 0 < number < 10**9:
        raise InvalidValueError(expected)
    raise InvalidValueError(f"a duration needs its unit: write {_plain(number)}s or {_plain(number)}ms")


def _duration_hint(value: str, expected: str) -> str:
    tidy = value.replace(" ", "").lower()
    if tidy.startswith("-"):
        return f"a duration cannot be negative; {expected}"
    if _COMPOUND.fullmatch(tidy):
        seconds = sum(Decimal(amount) * _UNITS_OF_TIME[unit] for amount, unit in _DURATION.findall(tidy))
        return f"write it with one unit: {duration_text(float(seconds))}"
    if _DURATION.fullmatch(tidy):
        return f"write {tidy}"
    if _NUMBER.fullmatch(tidy):
        return f"a duration needs its unit: write {tidy}s or {tidy}ms"
    return expected


def duration_text(seconds: float | None) -> str:
    """Seconds in the largest unit that needs no decimals: 10.0 as `10s`, 0.5 as `500ms`; None as `never`."""
    if seconds is None:
        return "never"
    exact = Decimal(repr(float(seconds)))
    if not exact:
        return "0s"
    for unit in ("h", "m", "s"):
        if exact % _UNITS_OF_TIME[unit] == 0:
            return f"{int(exact / _UNITS_OF_TIME[unit])}{unit}"
    return f"{_plain(exact / _UNITS_OF_TIME['ms'])}ms"


def size(minimum: int, maximum: int) -> Callable[[object], int]:
    """A reader of sizes: bytes as a number or with B, KiB, MiB, GiB, within [minimum, maximum] bytes."""
    expected = f"expected a size from {size_text(minimum)} to {size_text(maximum)}, such as 64KiB, 1MiB or 8192 (bytes)"

    def read(value: object) -> int:
        amount = _bytes(value)
        if amount is None or not minimum <= amount <= maximum:
            raise InvalidValueError(expected)
        return amount

    return read


def size_or_none(minimum: int, maximum: int) -> Callable[[object], int | None]:
    """As `size`, and None for `none`, `off`, false or nothing: no limit."""
    read_size = size(minimum, maximum)

    def read(value: object) -> int | None:
        if is_off(value):
            return None
        try:
            return read_size(value)
        except InvalidValueError as wrong:
            raise InvalidValueError(f"{wrong.hint}, or `none` for no limit") from None

    return read


def size_or_auto(minimum: int, maximum: int) -> Callable[[object], int | None]:
    """As `size`, and None for `auto`: what fits the machine."""
    read_size = size(minimum, maximum)

    def read(value: object) -> int | None:
        if value == "auto":
            return None
        try:
            return read_size(value)
        except InvalidValueError as wrong:
            raise InvalidValueError(f"{wrong.hint}, or auto") from None

    return read


def size_text_or_auto(amount: int | None) -> str:
    """As `size_text`, and `auto` for what fits the machine."""
    return "auto" if amount is None else size_text(amount)


def _bytes(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or len(value) > _MAX_LENGTH:
        return None
    if match := _SIZE.fullmatch(value):
        return int(match[1]) * _UNITS_OF_SIZE[match[2] or ""]
    if loose := _SIZE_LOOSE.fullmatch(value):
        raise InvalidValueError(f"write {loose[1]}{loose[2].upper()}iB (1KiB is 1024 bytes)")
    return None


def size_text(amount: int) -> str:
    """Bytes in the largest unit that divides them: 65536 as `64KiB`, 1000 as `1000`."""
    for unit in ("GiB", "MiB", "KiB"):
        if amount and amount % _UNITS_OF_SIZE[unit] == 0:
            return f"{amount // _UNITS_OF_SIZE[unit]}{unit}"
    return str(amount)


def size_text_or_none(amount: int | None) -> str:
    """As `size_text`, and `none` for no limit."""
    return "none" if amount is None else size_text(amount)


def percent(value: object) -> int:
    """A percentage to basis points: a number from 0 to 100, or text such as `0.25%`."""
    number = _percent_of_text(value) if isinstance(value, str) else _number(value)
    points = _points(number)
    if points is None:
        raise InvalidValueError(PERCENT_EXPECTED)
    return points


def _points(number: Decimal | None) -> int | None:
    """Basis points of a percentage; None where it is out of range or finer than a basis point."""
    points = number * (FULL_WEIGHT // 100) if number is not None else Decimal(-1)
    return int(points) if 0 <= points <= FULL_WEIGHT and points == int(points) else None


def _percent_of_text(value: str) -> Decimal | None:
    if len(value) > _MAX_LENGTH:
        return None
    match = _PERCENT.fullmatch(value)
    if match is not None:
        return Decimal(match[1])
    bare = value.strip().removesuffix("%").rstrip()
    if not _NUMBER.fullmatch(bare) or _points(Decimal(bare)) is None:
        return None
    if "%" in value:
        raise InvalidValueError(f"write {bare}%")
    raise InvalidValueError(f"a percentage in quotes needs its sign: write {bare} without the quotes, or {bare}%")


def percent_text(points: int) -> str:
    """Basis points as a percentage without its sign: 25 as `0.25`, 500 as `5`."""
    return _plain(Decimal(points) / (FULL_WEIGHT // 100))


def count(minimum: int, maximum: int) -> Callable[[object], int]:
    """A reader of whole numbers within [minimum, maximum]."""
    expected = f"expected a whole number from {minimum} to {maximum}"

    def read(value: object) -> int:
        if isinstance(value, str) and _COUNT.fullmatch(value) and minimum <= int(value) <= maximum:
            raise InvalidValueError(f"write {value} without the quotes")
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise InvalidValueError(expected)
        return value

    return read


def count_or_none(minimum: int, maximum: int) -> Callable[[object], int | None]:
    """As `count`, and None for `none`, `off`, false or nothing: no limit."""
    read_count = count(minimum, maximum)

    def read(value: object) -> int | None:
        if is_off(value):
            return None
        try:
            return read_count(value)
        except InvalidValueError as wrong:
            raise InvalidValueError(f"{wrong.hint}, or `none` for no limit") from None

    return read


def count_text(value: int | None) -> str:
    """A whole number, or `none`."""
    return "none" if value is None else str(value)


def switch(value: object) -> bool:
    """True or false; `off` and `none` are false."""
    if value is True or is_off(value):
        return value is True
    raise InvalidValueError(SWITCH_EXPECTED)


def log_path(value: object) -> str:
    """A file's path, or `-` for standard output."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidValueError("expected the path of a file, or - for standard output")
    return value


def log_format(value: object) -> Literal["json", "text"]:
    """`json` or `text`."""
    if value == "json":
        return "json"
    if value == "text":
        return "text"
    raise InvalidValueError("expected json or text")


LogLevel = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[str, LogLevel] = {"debug": "debug", "info": "info", "warning": "warning", "error": "error"}


def log_level(value: object) -> LogLevel:
    """How much is logged."""
    if isinstance(value, str) and value in _LEVELS:
        return _LEVELS[value]
    raise InvalidValueError("expected debug, info, warning or error")


MAX_WORKERS = 256
MAX_SOCKET_PATH = 107
"""Bytes that fit into an address (unix(7))."""


def worker_count(value: object) -> int | None:
    """A number of processes; None leaves it to the machine."""
    if value == "auto":
        return None
    try:
        return count(1, MAX_WORKERS)(value)
    except InvalidValueError:
        raise InvalidValueError(f"expected auto or a whole number from 1 to {MAX_WORKERS}") from None


def workers_text(value: int | None) -> str:
    """A number, or `auto`."""
    return "auto" if value is None else str(value)


def state_path(value: object) -> str:
    """A file's path, or `memory`."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InvalidValueError("expected the path of a file, or memory")
    return value


def socket_path(value: object) -> str | None:
    """The path of a Unix socket, or `none`."""
    if is_off(value):
        return None
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InvalidValueError("expected the path of a socket, or none")
    if len(os.fsencode(value)) > MAX_SOCKET_PATH:
        raise InvalidValueError(f"expected the path of a socket, at most {MAX_SOCKET_PATH} bytes long, or none")
    return value


def is_off(value: object) -> bool:
    """Whether a value says `off` or `none`, be it text, false or nothing at all."""
    return value is None or value is False or (isinstance(value, str) and value.lower() in ("off", "none"))


def _number(value: object) -> Decimal | None:
    """A finite number exactly as it is written; None for anything else, a bool included."""
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(repr(value))
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
