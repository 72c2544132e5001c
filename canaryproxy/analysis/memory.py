"""What a judge has learnt, as plain data that outlives the process.

Evidence lives in small objects of this package whose attributes are numbers and containers of numbers. They are written
down attribute by attribute, and read back into a judge that was made for the same spec, so that no object has to know
how it is kept.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from canaryproxy.analysis.dispersion import Moments
from canaryproxy.analysis.finding import Samples
from canaryproxy.analysis.rates import Block

HOME = "canaryproxy.analysis"
VALUES: dict[str, type[Any]] = {"Block": Block, "Moments": Moments, "Samples": Samples}
"""Plain data that appears inside containers, made anew when read."""


class Unfit(Exception):
    """What was kept does not fit this judge."""


def kept(value: Any) -> Any:
    """Plain data, for JSON. Raises `TypeError` for what is none of ours."""
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    for kind, write in CONTAINERS.items():
        if isinstance(value, kind):
            return write(value)
    if type(value).__name__ in VALUES and is_dataclass(value):
        return {"o": type(value).__name__, "v": [kept(getattr(value, field.name)) for field in fields(value)]}
    if type(value).__module__.startswith(HOME):
        return {"a": {name: kept(one) for name, one in learnt(value).items()}}
    raise TypeError(f"{value!r} cannot be kept")


CONTAINERS: dict[type[Any], Callable[[Any], Any]] = {
    float: lambda value: {"f": repr(value)},
    list: lambda value: [kept(one) for one in value],
    tuple: lambda value: {"t": [kept(one) for one in value]},
    set: lambda value: {"s": [kept(one) for one in sorted(value)]},
    deque: lambda value: {"q": [kept(one) for one in value], "n": value.maxlen},
    dict: lambda value: {"d": [[kept(key), kept(one)] for key, one in value.items()]},
}


def learnt(value: object) -> dict[str, Any]:
    """The attributes of an object that say what it has learnt: not what it was made with, nor what it can work out."""
    skipped: frozenset[str] = getattr(type(value), "FORGETS", frozenset())
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    found = {name: getattr(value, name) for name in names} | getattr(value, "__dict__", {})
    return {name: one for name, one in found.items() if name not in skipped and not _is_given(one)}


def _is_given(value: object) -> bool:
    """Specs and functions come with the making."""
    frozen = getattr(getattr(value, "__dataclass_params__", None), "frozen", False)
    return callable(value) or (frozen and type(value).__name__ not in VALUES)


def read(current: Any, told: Any) -> Any:
    """A value as it was; objects that are there already take in what was theirs. Raises `Unfit`."""
    if isinstance(told, list):
        return [read(None, one) for one in told]
    if not isinstance(told, dict):
        return told
    for mark, make in READERS.items():
        if mark in told:
            return make(current, told)
    raise Unfit("what was kept is nothing that is known")


def _tuple(current: Any, told: dict[str, Any]) -> tuple[Any, ...]:
    items = told["t"]
    before = current if isinstance(current, tuple) and len(current) == len(items) else (None,) * len(items)
    return tuple(read(old, one) for old, one in zip(before, items, strict=True))


def _dict(current: Any, told: dict[str, Any]) -> dict[Any, Any]:
    before = current if isinstance(current, dict) else {}
    pairs = ((read(None, key), one) for key, one in told["d"])
    return {key: read(before.get(key), one) for key, one in pairs}


def _value(_: Any, told: dict[str, Any]) -> Any:
    if told["o"] not in VALUES:
        raise Unfit(f"what was kept has a {told['o']}, which is nothing that is known")
    return VALUES[told["o"]](*(read(None, one) for one in told["v"]))


def _object(current: Any, told: dict[str, Any]) -> Any:
    if current is None or told["a"].keys() != learnt(current).keys():
        raise Unfit(f"what was kept of {type(current).__name__} is something else")
    for name, one in told["a"].items():
        setattr(current, name, read(getattr(current, name), one))
    return current


READERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "f": lambda _, told: float(told["f"]),
    "t": _tuple,
    "s": lambda _, told: {read(None, one) for one in told["s"]},
    "q": lambda _, told: deque((read(None, one) for one in told["q"]), maxlen=told["n"]),
    "d": _dict,
    "o": _value,
    "a": _object,
}
