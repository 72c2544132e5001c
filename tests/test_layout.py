"""The house rules that a machine can check."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "canaryproxy"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
COMPILED_ONLY = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.pyx"))
LONGEST = 400

TESTED_ELSEWHERE = {
    "admin/_newcomers.pyx": "tests/admin/test_newcomers.py",
    "admin/rule_schema.py": "tests/e2e/test_fuzz.py",
    "analysis/spec.py": "tests/analysis/test_panel.py, test_judge.py",
    "__main__.py": "tests/e2e starts it",
    "config/contents.py": "tests/config/test_certificate.py, test_secret.py",
    "config/rules.py": "tests/config/test_route.py, test_rules_document.py",
    "config/limits.py": "tests/config/test_load.py, tests/control/test_compile.py",
    "config/section.py": "tests/config/test_schema.py",
    "config/safety.py": "tests/config/test_route.py",
    "control/changes.py": "tests/control/test_controller.py, test_rollouts.py",
    "control/store.py": "tests/store",
    "link/messages.py": "tests/link/test_codec.py",
    "link/orders.py": "tests/test_forkserver.py",
    "model/certificate.py": "tests/proxy/test_tls.py",
    "model/decision.py": "tests/routing/test_decide.py",
    "model/delta.py": "tests/telemetry/test_record.py",
    "model/failure.py": "tests/proxy/test_respond.py",
    "model/goal.py": "tests/routing/test_goals.py",
    "model/message.py": "tests/http1",
    "model/outcome.py": "tests/telemetry/test_record.py",
    "model/rule.py": "tests/routing/test_rules.py",
    "model/safety.py": "tests/proxy/test_rescue.py, test_mirror.py",
    "proxy/guest.py": "tests/proxy/test_admission.py",
    "proxy/mirror_copy.py": "tests/proxy/test_mirror.py",
    "rollout/state.py": "tests/rollout/test_machine.py",
    "model/settings.py": "tests/control/test_compile.py",
}
"""Plain data, tested by who uses it."""

PURE = ("model", "routing", "http1", "telemetry")


def expected_test(module: Path) -> Path:
    return ROOT / "tests" / module.parent / f"test_{module.stem}.py"


@pytest.mark.parametrize("module", [m for m in MODULES + COMPILED_ONLY if m.name != "__init__.py"], ids=str)
def test_every_module_has_a_test_file_of_its_name(module: Path) -> None:
    if str(module) not in TESTED_ELSEWHERE:
        assert expected_test(module).exists(), f"{module} wants {expected_test(module).relative_to(ROOT)}"


def test_every_test_file_of_the_mirror_has_a_module() -> None:
    apart = {"bench", "integration", "e2e", "packaging", "support", "twins"}
    tests = [path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")]
    modules = {str(path.parent / path.name.removeprefix("test_")) for path in tests if path.parts[0] not in apart}
    exchange = {"proxy/backpressure.py", "proxy/breaking.py", "proxy/leaving.py", "proxy/mishaps.py"}
    whole = {"layout.py", "examples.py", "analysis/vectors.py", *exchange}
    sources = {str(module.with_suffix(".py")) for module in MODULES + COMPILED_ONLY}
    assert modules - sources == whole & modules


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_is_longer_than_one_idea(module: Path) -> None:
    assert len((PACKAGE / module).read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("module", COMPILED_ONLY, ids=str)
def test_every_compiled_module_opens_with_its_strategy_too(module: Path) -> None:
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


def test_every_promise_is_cited_by_a_test() -> None:
    promised = re.findall(r"^- \*\*(H\d+)\*\*", (ROOT / "docs" / "http.md").read_text(), re.MULTILINE)
    texts = " ".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    cited = set(re.findall(r"\bH\d+\b", texts))
    assert set(promised) - cited == set()
