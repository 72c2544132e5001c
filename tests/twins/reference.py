"""Both twins of a module in one process: what runs, and its plain source loaded beside it (compare PEP 399)."""

import importlib
import importlib.util
from types import ModuleType

import pytest

from canaryproxy.mode import place


def reference(name: str) -> ModuleType:
    """The module that the `.py` makes, whether or not a compiled one runs."""
    spec = importlib.util.spec_from_file_location(name, place(name, ".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def both(name: str) -> tuple[ModuleType, ModuleType]:
    """The plain twin and the compiled one, for tests of what is compiled."""
    return reference(name), importlib.import_module(name)


def each(name: str) -> pytest.MarkDecorator:
    """Runs a test with either twin as its `twin`."""
    plain, compiled = both(name)
    marked = pytest.param(compiled, id="compiled", marks=pytest.mark.compiled)
    return pytest.mark.parametrize("twin", [pytest.param(plain, id="plain"), marked])
