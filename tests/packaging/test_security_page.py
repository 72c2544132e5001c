"""docs/security.md: every threat has a mitigation, and every mitigation a test that exists."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.process import ROOT

PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
TARGET = re.compile(r"`make ([a-z-]+)`")


class Row(NamedTuple):
    """A line of one of the page's tables."""

    threat: str
    mitigation: str
    shown: str


def rows(text: str) -> list[Row]:
    """The lines of the tables whose columns are threat, mitigation and test."""
    found: list[Row] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")] if line.startswith("|") else []
        if cells == ["Threat", "Mitigation", "Test"]:
            inside = True
        elif not cells:
            inside = False
        elif inside and not set(cells[0]) <= set("-| "):
            found.append(Row(*cells))
    return found


@cache
def functions(path: Path) -> frozenset[str]:
    """Names of the functions of a file, those of its classes too."""
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


ROWS = rows(PAGE.read_text("utf-8"))


def test_the_page_has_a_row_for_each_of_many_threats() -> None:
    assert len(ROWS) >= 30
    assert len({row.threat for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.threat[:60])
def test_a_threat_names_tests_that_exist(row: Row) -> None:
    named = NAMED.findall(row.shown)
    assert row.mitigation
    assert named, f"no test is named: {row.shown}"
    missing = [f"{file}::{name}" for file, name in named if not _exists(file, name)]
    assert not missing


def test_the_targets_that_the_page_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(TARGET.findall(PAGE.read_text("utf-8")))
    assert {"prove-attacks", "prove-sanitized"} <= named
    assert not [
        one for one in named if not re.search(rf"^{one}:", makefile, re.MULTILINE) and not one.startswith("prove-")
    ]


def _exists(file: str, name: str) -> bool:
    path = ROOT / file
    return path.is_file() and name in functions(path)


def test_a_table_is_read_row_by_row() -> None:
    text = "| Threat | Mitigation | Test |\n|---|---|---|\n| a | b | `tests/x.py::test_y` |\n\n| other | table |\n"
    assert rows(text) == [Row("a", "b", "`tests/x.py::test_y`")]
