"""Compiled or plain: what is decided, and that it holds."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from canaryproxy import MODE
from canaryproxy.mode import (
    CHANGED,
    HOT,
    NOT_COMPILED,
    PACKAGE,
    RECORD,
    SUFFIX,
    SWITCH,
    Mode,
    available,
    choose,
    digest,
    import_sources_only,
    place,
    sources,
)

TWINS = [name for name in HOT if place(name, ".pyx").exists()]
"""Modules that are written twice."""

EVERYTHING = """
import importlib, pkgutil, canaryproxy
for module in pkgutil.walk_packages(canaryproxy.__path__, "canaryproxy."):
    if not module.name.endswith("__main__"):
        assert importlib.import_module(module.name).__file__.endswith(".py"), module.name
print(canaryproxy.MODE.why)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the sources."""
    return Path(
        shutil.copytree(
            PACKAGE, tmp_path / "canaryproxy", ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.digest")
        )
    )


def pretend(package: Path) -> None:
    """As a build leaves it, but for what is in the extensions."""
    for name in HOT:
        place(name, SUFFIX, package).write_bytes(b"no extension")
    (package / RECORD).write_text(digest(package))


def run(package: Path, code: str, switch: str | None = None) -> "subprocess.CompletedProcess[str]":
    environ = {key: value for key, value in os.environ.items() if key != SWITCH}
    environ |= {"PYTHONDONTWRITEBYTECODE": "1"} | ({} if switch is None else {SWITCH: switch})
    return subprocess.run(
        [sys.executable, "-c", code], cwd=package.parent, env=environ, capture_output=True, text=True, check=False
    )


def test_without_a_build_it_is_plain(package: Path) -> None:
    assert available(package) == Mode(False, NOT_COMPILED)


def test_what_was_made_of_these_sources_is_taken_whatever_the_clock_says(package: Path) -> None:
    pretend(package)
    assert available(package) == Mode(True)
    for path in sources(package):
        os.utime(path, (2e9, 2e9))
    assert available(package) == Mode(True)


@pytest.mark.parametrize(
    ("name", "suffix"), [(HOT[-1], ".py"), (HOT[-1], ".pxd"), (TWINS[0], ".py"), (TWINS[0], ".pyx")]
)
def test_an_edited_source_is_never_shadowed(package: Path, name: str, suffix: str) -> None:
    pretend(package)
    path = place(name, suffix, package)
    path.write_text((path.read_text() if path.exists() else "") + "# edited\n")
    os.utime(path, (0, 0))
    assert available(package) == Mode(False, CHANGED)


def test_all_or_none(package: Path) -> None:
    pretend(package)
    place(HOT[0], SUFFIX, package).unlink()
    assert available(package) == Mode(False, f"{HOT[0]} not compiled; make compile")


def test_a_compiled_module_is_found_before_its_source(package: Path) -> None:
    pretend(package)
    done = run(package, f"import {HOT[0]}")
    assert "ImportError" in done.stderr
    assert SUFFIX in done.stderr


@pytest.mark.parametrize(("switch", "why"), [("1", f"{SWITCH}=1"), (None, CHANGED)])
def test_plain_means_every_module_of_every_package(package: Path, switch: str | None, why: str) -> None:
    pretend(package)
    if switch is None:
        source = place(HOT[0], ".py", package)
        source.write_text(source.read_text() + "# edited\n")
    for path in list(package.rglob("*.py")):
        if path.name != "__init__.py" and path not in (package / "mode.py", package / "isolated.py"):
            path.with_name(path.name.removesuffix(".py") + SUFFIX).write_bytes(b"no extension")
    done = run(package, EVERYTHING, switch)
    assert (done.returncode, done.stdout) == (0, f"{why}\n"), done.stderr


def test_who_wants_none_but_compiled_gets_no_other(package: Path) -> None:
    done = run(package, "import canaryproxy", "0")
    assert done.returncode != 0
    assert done.stderr.endswith(f"canaryproxy is to run compiled ({SWITCH}=0), and cannot: {NOT_COMPILED}\n")


def test_compiled_or_not_at_all(package: Path) -> None:
    with pytest.raises(ImportError, match=NOT_COMPILED):
        choose({SWITCH: "0"}, package)
    pretend(package)
    assert choose({SWITCH: "0"}, package) == Mode(True)


def test_choosing_plain_hides_extensions_below_the_package_alone(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path_hooks", list(sys.path_hooks))
    monkeypatch.setattr(sys, "path_importer_cache", {})
    pretend(package)
    folder = [str(place(HOT[0], "", package).parent)]
    origin = PathFinder.find_spec(HOT[0], folder)
    assert choose({}, package) == Mode(True)
    assert (origin and origin.origin) == str(place(HOT[0], SUFFIX, package))
    assert choose({SWITCH: "1"}, package) == Mode(False, f"{SWITCH}=1")
    origin = PathFinder.find_spec(HOT[0], folder)
    assert (origin and origin.origin) == str(place(HOT[0], ".py", package))
    beside = package.with_name("canaryproxy_too")
    beside.mkdir()
    (beside / f"some{SUFFIX}").touch()
    assert PathFinder.find_spec("some", [str(beside)]) is not None


def test_a_package_that_is_no_folder_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path_hooks", [])
    archive = tmp_path / "all.zip"
    archive.touch()
    import_sources_only(archive / "canaryproxy")
    with pytest.raises(ImportError):
        sys.path_hooks[0](str(archive / "canaryproxy"))


@pytest.mark.parametrize("name", HOT)
def test_what_is_loaded_is_what_is_said(name: str) -> None:
    file = importlib.import_module(name).__file__
    assert file is not None
    assert file.endswith(SUFFIX) == MODE.compiled


@pytest.mark.parametrize("name", HOT)
def test_a_hot_module_runs_without_cython(name: str) -> None:
    nodes = ast.walk(ast.parse(place(name, ".py").read_text()))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert not imported & {"cython", "Cython"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_chooses_for_itself_what_it_imports(path: Path) -> None:
    caught = [node.type for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
    names = {name.id for kind in caught if kind is not None for name in ast.walk(kind) if isinstance(name, ast.Name)}
    assert not names & {"ImportError", "ModuleNotFoundError"}


def test_a_mode_in_words_and_in_one() -> None:
    assert str(Mode(True)).startswith("compiled, CPython 3.")
    assert str(Mode(False, NOT_COMPILED)).startswith("plain Python, CPython 3.")
    assert str(Mode(False, f"{SWITCH}=1")).startswith(f"plain Python: {SWITCH}=1, CPython 3.")
    assert [Mode(True).label, Mode(False).label] == ["compiled", "plain"]
