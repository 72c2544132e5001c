"""Every way to check a change runs the same commands: .ci/run, the workflow, the commit hooks, `make check`."""

import ast
import re
from typing import Any

import pytest
import yaml

from tests.support.process import ROOT

GITHUB = ROOT / ".github"
MAKE = re.compile(r"^(?:make [a-z./-]+|\.ci/[a-z]+)", re.MULTILINE)
TOOL = re.compile(r"(?:\$\(BIN\)|\.venv/bin)/([\w-]+(?: (?:format|check)\b)?)")
"""A tool of the project's environment, in a recipe or a hook."""

ESSENTIAL = {"coreutils", "util-linux"}
"""Packages that every Debian has."""


def loaded(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def workflow() -> dict[str, Any]:
    job: dict[str, Any] = loaded(".github/workflows/ci.yml")["jobs"]["ci"]
    return job


def test_the_workflow_runs_the_commands_of_the_ci_script() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    steps = [step["run"] for step in workflow()["steps"] if "run" in step]
    assert sorted(steps) == sorted(MAKE.findall(script))
    assert len(steps) > 5


def test_the_workflow_sets_what_the_ci_script_sets() -> None:
    (line,) = re.findall(r"^export (CANARYPROXY_REQUIRE_ALL.*)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    exported = dict(pair.split("=") for pair in line.split())
    assert exported.items() <= workflow()["env"].items()


def test_the_workflow_runs_the_readmes_own_test_command() -> None:
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert "make test" in [step.get("run") for step in workflow()["steps"]]


def test_ci_installs_every_program_that_a_test_needs() -> None:
    tree = ast.parse((ROOT / "tests" / "conftest.py").read_text())
    (packages,) = [
        ast.literal_eval(one.value)
        for one in tree.body
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "PACKAGES"
    ]
    wanted = {program for program, package in packages.items() if package not in ESSENTIAL}
    (listed,) = re.findall(r"^programs=\((.*)\)$", (ROOT / ".ci" / "programs").read_text(), re.MULTILINE)
    assert wanted <= set(listed.split())


def test_every_target_that_ci_makes_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = {step["run"].removeprefix("make ") for step in workflow()["steps"] if step.get("run", "").startswith("make")}
    assert made - {".venv/dev"} <= set(targets)


def test_the_matrix_is_the_pythons_that_the_package_claims() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    claimed = re.findall(r"Programming Language :: Python :: (3\.\d+)", text)
    assert workflow()["strategy"]["matrix"]["python"] == claimed
    assert f'requires-python = ">={claimed[0]}"' in text


def test_the_workflow_may_only_read() -> None:
    assert loaded(".github/workflows/ci.yml")["permissions"] == {"contents": "read"}


def test_every_action_is_pinned_to_a_tag_or_a_commit() -> None:
    used = [step["uses"] for step in workflow()["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w./-]+@(v\d+|[0-9a-f]{40})", one) for one in used)


def test_commit_hooks_run_the_tools_of_make_check() -> None:
    (repository,) = loaded(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck: ")[2].partition("\n\n")[0]
    hooks = " ".join(hook["entry"] for hook in repository["hooks"])
    assert (
        set(TOOL.findall(hooks)) == set(TOOL.findall(recipe)) == {"ruff format", "ruff check", "mypy", "lint-imports"}
    )


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_an_issue_form_asks_at_least_one_question_that_must_be_answered(form: str) -> None:
    body = loaded(f".github/ISSUE_TEMPLATE/{form}.yml")["body"]
    assert any(field.get("validations", {}).get("required") for field in body)
    names = [field["id"] for field in body if "id" in field]
    assert len(names) == len(set(names))


def test_all_addresses_of_the_repository_are_one() -> None:
    files = [ROOT / "pyproject.toml", *GITHUB.rglob("*.y*ml"), *(ROOT / "docs").rglob("*.md")]
    text = " ".join(path.read_text() for path in files)
    assert set(re.findall(r"https://github\.com/([\w-]+/canaryproxy)\b", text)) == {"canaryproxy/canaryproxy"}
