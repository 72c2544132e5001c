"""Quantities as users write them: durations, sizes, percentages, counts.

Pure functions, in pairs: a reader (`duration("10s") == 10.0`) raises `InvalidValueError` with a hint, a writer
(`duration_text(10.0) == "10s"`) gives the shortest form. Arithmetic is exact (`Decimal`): 0.29 % is 29 basis points,
where floats would give 28. Numbers in YAML arrive as int or float; a bool is never a number.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal

from canaryproxy.config.problems import InvalidValueError
from canaryproxy.model.table import FULL_WEIGHT

PERCENT_EXPECTED = "expected a percentage from 0 to 100 with at most two decimals, such as 5 or 0.25"

MAX_MULTIPLE = 1000

_UNITS_OF_TIME = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_UNITS_OF_SIZE = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
# Characters of a quantity. A longer text is a mistake, and long numbers are slow to convert.
_MAX_LENGTH = 20

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_COMPOUND = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h)){2,}", re.ASCII)
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB)?", re.ASCII)
_SIZE_LOOSE = re.compile(r"(\d+)\s*([kmg])(?:i?b)?", re.ASCII | re.IGNORECASE)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%", re.ASCII)
_COUNT = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def duration(minimum: float, maximum: float) -> Callable[[object], float]:
    """A reader of durations: text with a unit to seconds, within [minimum, maximum] seconds.

    A plain 0 needs no unit where zero is allowed; any other number does.
    """
    expected = (
        f"expected a duration from {duration_text(minimum)} to {duration_text(maximum)}, such as 500ms, 10s or 5m"
    )

    def read(value: object) -> float:
        number = _number(value)  # YAML has read `5` as a number, and `5s` as a text
        if number == 0 and minimum == 0:
            return 0.0
        text = value if number is None else _plain(number)
        if not isinstance(text, str) or len(text) > _MAX_LENGTH:
            raise InvalidValueError(expected)
        match = _DURATION.fullmatch(text)
        if match is None:
            raise InvalidValueError(_duration_hint(text, expected))
        seconds = float(Decimal(match[1]) * _UNITS_OF_TIME[match[2]])
        if not minimum <= seconds <= maximum:
            raise InvalidValueError(expected)
        return seconds

    return read


def _duration_hint(value: str, expected: str) -> str:
    tidy = value.replace(" ", "").lower()
    if tidy.startswith("-"):
        return f"a duration cannot be negative; {expected}"
    if _COMPOUND.fullmatch(tidy):
        seconds = sum(Decimal(amount) * _UNITS_OF_TIME[unit] for amount, unit in _DURATION.findall(tidy))
        return f"write it with one unit: {duration_text(float(seconds))}"
    if _DURATION.fullmatch(tidy):
        return f"write {tidy}"
    if _NUMBER.fullmatch(tidy) and float(tidy):
        return f"a duration needs its unit: write {tidy}s or {tidy}ms"
    return expected


def duration_text(seconds: float) -> str:
    """Seconds in the largest unit that needs no decimals: 10.0 as `10s`, 0.5 as `500ms`."""
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


def percent_within(minimum: int, maximum: int) -> Callable[[object], int]:
    """A reader of percentages within [minimum, maximum] basis points."""

    def read(value: object) -> int:
        points = percent(value)
        if not minimum <= points <= maximum:
            raise InvalidValueError(f"expected a percentage from {percent_text(minimum)} to {percent_text(maximum)}")
        return points

    return read


def percent_text(points: int) -> str:
    """Basis points as a percentage without its sign: 25 as `0.25`, 500 as `5`."""
    return _plain(Decimal(points) / (FULL_WEIGHT // 100))


def count(minimum: int, maximum: int, what: str = "a whole number") -> Callable[[object], int]:
    """A reader of whole numbers within [minimum, maximum]."""
    expected = f"expected {what} from {minimum} to {maximum}"

    def read(value: object) -> int:
        if isinstance(value, str) and _COUNT.fullmatch(value) and minimum <= int(value) <= maximum:
            raise InvalidValueError(f"write {value} without the quotes")
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise InvalidValueError(expected)
        return value

    return read


def ratio(points: int) -> float:
    """A tolerance in basis points as a factor: 1000 as 1.1."""
    return 1 + points / FULL_WEIGHT


def multiple(value: object) -> float:
    """How many times the value of stable."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= MAX_MULTIPLE:
        raise InvalidValueError(f"expected a number from 1 to {MAX_MULTIPLE}, such as 1.5")
    return float(value)


def _number(value: object) -> Decimal | None:
    """A finite number exactly as it is written; None for anything else, a bool included."""
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(repr(value))
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
