"""Coverage is added up by package and held against the floors of pyproject.toml."""

from pathlib import Path, PurePath

import pytest

from tests.support.process import ROOT
from tools.coverage_floors import PACKAGE, floors, package_of, rows

KNOWN = {"canaryproxy": 80.0, "cli": 90.0, "cli.demo": 50.0}


def report(lines: int, of: int, branches: int = 0, of_branches: int = 0) -> dict[str, dict[str, int]]:
    return {
        "summary": {
            "covered_lines": lines,
            "num_statements": of,
            "covered_branches": branches,
            "num_branches": of_branches,
        }
    }


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("log.py", "canaryproxy"),
        ("cli/table.py", "cli"),
        ("cli/demo/show.py", "cli.demo"),
        ("cli/remote/calls.py", "cli"),
        ("fresh/deep/one.py", "fresh"),
    ],
)
def test_a_module_counts_for_the_nearest_package_that_has_a_floor(module: str, package: str) -> None:
    assert package_of(PurePath(module), KNOWN) == package


def test_lines_and_branches_of_a_package_are_added_up() -> None:
    files = {"canaryproxy/cli/a.py": report(5, 10, 1, 2), "/somewhere/canaryproxy/cli/b/c.py": report(10, 10, 2, 2)}
    assert rows(files, KNOWN) == [("cli", 75.0, 90.0)]


def test_a_package_without_a_floor_must_be_covered_whole() -> None:
    assert rows({"canaryproxy/fresh/a.py": report(9, 10)}, KNOWN) == [("fresh", 90.0, 100.0)]


def test_a_package_without_statements_is_covered() -> None:
    assert rows({"canaryproxy/cli/__init__.py": report(0, 0)}, KNOWN) == [("cli", 100.0, 90.0)]


def test_every_package_has_a_floor_and_every_floor_a_package() -> None:
    package = ROOT / PACKAGE
    modules = [path.relative_to(package) for path in package.rglob("*.py")]
    folders = {".".join(path.parent.parts) or PACKAGE for path in modules}
    known = floors()
    assert {package_of(PurePath(path), known) for path in modules} <= known.keys()
    assert known.keys() <= folders


def test_no_floor_is_lower_than_half() -> None:
    assert all(50 <= floor <= 100 for floor in floors(Path(ROOT)).values())
