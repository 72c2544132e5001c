"""A rename of classes, attributes and config keys changes no stored byte.

What is to be written stands in files that d8fb47b wrote, which no script for renames touches, and in digests of them
below, which none can rename.
"""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from canaryproxy.control import evidence
from canaryproxy.storage.codec import read_state, write_state
from tests.data.state.make import restored
from tests.support.judged import JUDGED, fresh, seen
from tests.support.stored import one_evidence, route_state, written_again

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "canaryproxy"
STATES = ROOT / "tests" / "data" / "state"
GOLDEN = STATES / "d8fb47b"
WRITTEN: dict[str, dict[str, dict[str, str]]] = json.loads((GOLDEN / "written.json").read_text())

STORING = {
    *(path.relative_to(PACKAGE) for folder in ("storage", "analysis") for path in (PACKAGE / folder).rglob("*.py")),
    *map(
        Path,
        (
            "config/stored_form.py",
            "control/evidence.py",
            "control/fingerprint.py",
            "control/judges.py",
            "control/route_states.py",
            "control/evidence_keeper.py",
            "control/state.py",
            "control/version_tracker.py",
            "model/document.py",
            "rollout/codec.py",
            "rollout/identity.py",
            "rollout/record.py",
            "rollout/state.py",
        ),
    ),
}
"""Modules that write or read what is stored."""

CODEC_NAMES = {"snapshot", "restore", "restored", "dump", "dump_record", "dump_route", "dump_rules", "dump_entry"}

REFLECTION = {
    "asdict",
    "astuple",
    "fields",
    "getattr",
    "setattr",
    "vars",
    "dir",
    "hasattr",
    "get_args",
    "get_type_hints",
    "get_origin",
    "TypeAdapter",
    "model_fields",
    "model_dump",
    "model_dump_json",
    "model_validate",
    "model_validate_json",
    "as_written",
    "__dict__",
    "__name__",
    "__qualname__",
    "__slots__",
    "__annotations__",
    "__class__",
    "__dataclass_fields__",
    "__members__",
    "_fields",
    "_asdict",
    "pickle",
    "msgspec",
    "inspect",
}
"""What gives names of classes, attributes, parameters or types as text."""


JUDGE_DIGESTS = {
    "alone": "e50cee979d5f7003",
    "endpoints": "e44cb9c412de5d21",
    "everything": "eca0a3254a340baa",
    "fails": "c924d2074117e8bc",
    "users": "4d4187a41a48631f",
}


def modules() -> list[Path]:
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def tree(module: Path) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text())


def reflections(node: ast.AST) -> list[str]:
    """Uses of reflection below a node, but for `__repr__` and for what is asked of a foreign object by a literal."""
    found: list[str] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef) and child.name == "__repr__":
            continue
        if isinstance(child, ast.Assign) and any(
            isinstance(one, ast.Name) and one.id == "__slots__" for one in child.targets
        ):
            continue
        if isinstance(child, ast.Call) and _asks_by_a_literal(child):
            found += [name for argument in child.args for name in reflections(ast.Expr(argument))]
            continue
        if isinstance(child, ast.Name) and child.id in REFLECTION:
            found.append(child.id)
        if isinstance(child, ast.Attribute) and child.attr in REFLECTION:
            found.append(child.attr)
        if isinstance(child, ast.Call) and _built_by_names_or_places(child):
            found.append(ast.unparse(child))
        found += reflections(child)
    return found


def _asks_by_a_literal(call: ast.Call) -> bool:
    named = isinstance(call.func, ast.Name) and call.func.id == "getattr"
    return named and isinstance(call.args[1], ast.Constant)


def _built_by_names_or_places(call: ast.Call) -> bool:
    """`Block(*numbers)` and `Identity(**data)` depend on the order or the names of fields."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    made = name == "cls" or name[:1].isupper()
    spread = any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords)
    return made and spread


@pytest.mark.parametrize("module", sorted(STORING), ids=str)
def test_what_stores_asks_nothing_for_its_name(module: Path) -> None:
    assert reflections(tree(module)) == []


@pytest.mark.parametrize(
    "code",
    [
        "asdict(x)",
        "dataclasses.fields(x)",
        "getattr(x, name)",
        "type(x).__name__",
        "Identity(**data)",
        "cls(*row)",
        "x.__dict__",
        "typing.get_args(Unit)",
        "RuleConfig.model_fields",
        "[setattr(x, n, 1) for n in names]",
    ],
)
def test_reflection_is_found_where_it_is(code: str) -> None:
    assert reflections(ast.parse(code))


def test_every_module_that_has_a_codec_is_looked_at() -> None:
    having = {
        module
        for module in modules()
        if any(isinstance(node, ast.FunctionDef) and node.name in CODEC_NAMES for node in ast.walk(tree(module)))
    }
    assert having <= STORING


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_route_with_every_field_is_written_byte_for_byte() -> None:
    text = (GOLDEN / "route.txt").read_text()
    assert digest(text) == "f293f45e4d157782fa7df8971bb2665b23ec1eebea59bc8d9819e1092923f271"
    later = ', "file_route": "", "revision": 0}'
    assert write_state(read_state(text)) == write_state(route_state()) == text.removesuffix("}") + later
    assert read_state(text) == route_state()


def test_what_stands_beside_evidence_is_written_byte_for_byte() -> None:
    text = '{"v": 1, "at": 5.25, "of": "abc", "version": "v2", "step": 1.5, "lost": 0.5, "judge": {"v": 1, "unit": "request"}}'
    assert (
        digest(text)
        == digest((GOLDEN / "evidence.txt").read_text())
        == "aacdc605bf9939818bfde256a5895ec3788ed3050472558f92a3592c20c287a7"
    )
    assert evidence.dump(one_evidence()) == text
    assert evidence.load(text) == one_evidence()


def keys(document: object) -> object:
    """The names in a document, in their order."""
    return [(name, keys(one)) for name, one in document.items()] if isinstance(document, dict) else None


@pytest.mark.parametrize("name", JUDGED)
def test_evidence_of_every_check_is_written_byte_for_byte(name: str) -> None:
    stored, world = json.loads((GOLDEN / f"judge-{name}.json").read_text())["stored"], seen(name)
    assert keys(world.judge.snapshot(world.now)) == keys(stored)
    judge = fresh(world)
    judge.restore(stored, 0.0)
    again = judge.snapshot(0.0)
    assert json.dumps({**again, "warm": stored["warm"]}) == json.dumps(stored)


def test_the_documents_of_judges_are_those_that_d8fb47b_wrote() -> None:
    found = {name: digest((GOLDEN / f"judge-{name}.json").read_text())[:16] for name in JUDGED}
    assert found == JUDGE_DIGESTS


def only(known: Any, document: Any) -> Any:
    """A document without keys that have come since, at every level of objects."""
    if isinstance(known, dict) and isinstance(document, dict):
        return {key: only(known[key], value) for key, value in document.items() if key in known}
    return document


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_every_golden_state_is_written_as_d8fb47b_writes_it(name: str, tmp_path: Path) -> None:
    sql = STATES / f"{name}.sql"
    found = written_again(restored(sql, tmp_path / "state.db"), sql.with_suffix(".yaml").read_text())
    assert found["routes"].keys() == WRITTEN[name]["routes"].keys()
    for route, text in WRITTEN[name]["routes"].items():
        assert json.dumps(only(json.loads(text), json.loads(found["routes"][route]))) == text
    assert {route: digest(text) for route, text in found["evidence"].items()} == WRITTEN[name]["evidence"]


def test_no_golden_state_is_left_out() -> None:
    assert {str(path.relative_to(STATES).with_suffix("")) for path in STATES.glob("*/*.sql")} == WRITTEN.keys()
