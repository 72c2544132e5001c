"""A compiled twin offers what its plain twin does."""

import importlib
import inspect
from collections.abc import Callable

import pytest

from canaryproxy.mode import HOT, place
from tests.twins.reference import reference

TWINS = [name for name in HOT if place(name, ".pyx").exists()]

pytestmark = pytest.mark.compiled


def parameters(function: Callable[..., object]) -> list[str]:
    """Their names; one that is not used has a `_` before it."""
    return [name.removeprefix("_") for name in inspect.signature(function).parameters]


@pytest.mark.parametrize("name", TWINS)
def test_whatever_the_plain_twin_defines_in_public_the_compiled_one_does(name: str) -> None:
    compiled = importlib.import_module(name)
    for word, plain in vars(reference(name)).items():
        if word.startswith("_") or getattr(plain, "__module__", None) != name:
            continue
        other = getattr(compiled, word)
        if inspect.isclass(plain):
            assert {method for method in vars(plain) if not method.startswith("_")} <= vars(other).keys()
        else:
            assert parameters(other) == parameters(plain)
