"""The house rules that a machine can check.

Which file a test lies in, and how long a module may be, are guidelines (CONTRIBUTING.md). That a package is tested is
held by its coverage floor (`make coverage`).
"""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "canaryproxy"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
COMPILED_TWINS = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.pyx"))

PURE = ("model", "routing", "http", "telemetry")

QUESTION = re.compile(r"^\| .*\? \| (.+) \|$", re.MULTILINE)
"""A row of CONTRIBUTING.md that says where something is."""


@pytest.mark.parametrize("module", COMPILED_TWINS, ids=str)
def test_every_compiled_twin_opens_with_its_strategy_too(module: Path) -> None:
    assert (PACKAGE / module).read_text().startswith('"""')


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_opens_with_its_strategy(module: Path) -> None:
    assert ast.get_docstring(ast.parse((PACKAGE / module).read_text()))


@pytest.mark.parametrize("module", [m for m in MODULES if m.parts[0] in PURE], ids=str)
def test_nothing_pure_is_asynchronous(module: Path) -> None:
    nodes = ast.walk(ast.parse((PACKAGE / module).read_text()))
    assert not [node for node in nodes if isinstance(node, ast.AsyncFunctionDef | ast.Await)]


def test_the_changelog_tells_what_is_coming() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_promises_are_numbered_without_a_gap() -> None:
    lines = (ROOT / "docs" / "http.md").read_text().splitlines()
    numbers = [int(line.split("**")[1][1:]) for line in lines if line.startswith("- **H")]
    assert numbers == list(range(1, len(numbers) + 1))


def promised() -> set[str]:
    return set(re.findall(r"^- \*\*(H\d+)\*\*", (ROOT / "docs" / "http.md").read_text(), re.MULTILINE))


def cited(files: Iterable[Path]) -> set[str]:
    return set(re.findall(r"\bH\d+\b", " ".join(path.read_text() for path in files)))


def test_every_promise_is_cited_by_a_test() -> None:
    promised = re.findall(r"^- \*\*(H\d+)\*\*", (ROOT / "docs" / "http.md").read_text(), re.MULTILINE)
    texts = " ".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    cited = set(re.findall(r"\bH\d+\b", texts))
    assert set(promised) - cited == set()


def test_a_newcomers_questions_are_answered_by_files_that_exist() -> None:
    answers = QUESTION.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(answers) >= 10
    named = [path for answer in answers for path in re.findall(r"`([\w/]+(?:\.py|/))`", answer)]
    assert [path for path in named if not (PACKAGE / path).exists()] == []
    assert all("`" in answer for answer in answers)
