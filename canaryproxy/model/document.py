"""Stored documents: their version, and the fields that a later version has added. Pure.

A document is a JSON object. `v` is raised only if an older reader would act wrongly; other fields may be added to any
object, and older readers keep and write them back unchanged. The rules are in docs/decisions/0013-stored-state.md.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

Document = dict[str, Any]
N = TypeVar("N", int, float)

VERSION = "v"


class TooNewError(Exception):
    """A later version wrote this document and requires readers to know its meaning."""


def version_of(data: Mapping[str, Any], known: int, what: str) -> int:
    """The version of a document; 0 without one. Raises `TooNewError` above `known`, and `ValueError`."""
    version = data.get(VERSION, 0)
    if type(version) is not int or version < 0:
        raise ValueError(f"{version!r} is no version of {what}")
    if version > known:
        raise TooNewError(f"{what} is stored as version {version}, this canaryproxy knows {what} up to version {known}")
    return version


def unknown(data: Mapping[str, Any], known: Collection[str]) -> Document:
    """The fields of an object that this version does not know."""
    return {name: value for name, value in data.items() if name not in known and name != VERSION}


def added(loaded: object, dumped: object) -> Document:
    """The fields of a loaded document that this version does not write, object by object. Lists are values: they are
    not merged.
    """
    if not isinstance(loaded, dict) or not isinstance(dumped, dict):
        return {}
    found: Document = {}
    for name, value in loaded.items():
        if name not in dumped:
            found[name] = value
        elif below := added(value, dumped[name]):
            found[name] = below
    return found


def merged(dumped: Document, extra: Mapping[str, Any]) -> Document:
    """A document with the fields that `added` has found put back."""
    whole = dict(dumped)
    for name, value in extra.items():
        mine = whole.get(name)
        if name not in whole:
            whole[name] = value
        elif isinstance(mine, dict) and isinstance(value, dict):
            whole[name] = merged(mine, value)
    return whole


def text(value: object) -> str:
    """A string. Raises `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def truth(value: object) -> bool:
    """True or false. Raises `TypeError`."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def whole(value: object) -> int:
    """A whole number from 0 up. Raises `ValueError`."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no whole number from 0 up")
    return value


def number(value: object) -> float:
    """A finite number, as it is. Raises `ValueError`."""
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"{value!r} is no finite number")
    return value  # type: ignore[return-value]


def items(value: object) -> list[Any]:
    """A list. Raises `TypeError`."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def mapping(value: object) -> Document:
    """An object. Raises `TypeError`."""
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no object")
    return value


def plain(value: float) -> float | str:
    """A number for JSON, which has no infinity and no NaN."""
    return value if math.isfinite(value) else repr(value)


def real(value: object) -> float:
    """The number of `plain`. Raises `ValueError`."""
    if value in ("inf", "-inf", "nan"):
        return float(value)
    return number(value)


def plains(values: Iterable[float]) -> list[float | str]:
    """Numbers for JSON."""
    return [plain(one) for one in values]


def reals(value: object, count: int | None = None) -> list[float]:
    """The numbers of `plains`; `count` of them, if that is given. Raises `ValueError` and `TypeError`."""
    return _numbers(real, value, count)


def wholes(value: object, count: int | None = None) -> list[int]:
    """Whole numbers from 0 up; `count` of them, if that is given. Raises `ValueError` and `TypeError`."""
    return _numbers(whole, value, count)


def _numbers(load: Callable[[object], N], value: object, count: int | None) -> list[N]:
    found = [load(one) for one in items(value)]
    if count is not None and len(found) != count:
        raise ValueError(f"{len(found)} numbers instead of {count}")
    return found


def pairs(counts: Mapping[int, int]) -> list[list[int]]:
    """Counts by number as a JSON list, since the keys of JSON objects are strings."""
    return [[key, count] for key, count in counts.items()]


def counts(value: object) -> dict[int, int]:
    """The counts of `pairs`. Raises `ValueError` and `TypeError`."""
    found: dict[int, int] = {}
    for one in items(value):
        key, count = items(one)
        if type(key) is not int:
            raise TypeError(f"{key!r} is no number of a bucket")
        found[key] = whole(count)
    return found
