"""Where code is looked for, by us and by the processes that we start. Whole processes: tests/e2e/test_isolation.py."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from canaryproxy import isolated
from canaryproxy.isolated import NEEDED, PACKAGE, command, complete, directories, options, settle

SOURCES = Path(PACKAGE)
ROOT = str(SOURCES.parent)
HERE = str(Path.cwd())
DATA_PLANE = (
    "app/forkserver.py",
    "app/worker.py",
    "log.py",
    "mode.py",
    "isolated.py",
    "dataplane",
    "telemetry",
    "routing",
    "http",
    "ipc",
    "model",
)
"""As the import contract in pyproject.toml has it."""

NOT_IN_WORKERS = {"prometheus_client", "numpy"}
"""What `telemetry.metrics` needs, which only the supervisor imports."""


def test_what_the_data_plane_needs_is_what_it_imports() -> None:
    found = set()
    for place in DATA_PLANE:
        path = SOURCES / place
        for file in [path] if path.is_file() else path.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.partition(".")[0])
    assert found - set(sys.stdlib_module_names) - {"canaryproxy"} - NOT_IN_WORKERS == set(NEEDED)


def test_a_child_is_started_without_a_path_of_its_own() -> None:
    python, *rest = command("some.module", "7", "8")
    assert python == sys.executable
    assert rest[:2] == ["-I", "-S"]
    end = rest.index("--")
    assert rest[end + 1 :] == ["7", "8"]
    assert rest[rest.index("some.module") + 1 : end] == directories()
    assert all(Path(place).is_dir() for place in directories())


def test_options_of_the_interpreter_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "pycache_prefix", "/var/cache/x")
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    found = list(options())
    assert "-B" in found
    assert found[-4:] == ["-X", "pycache_prefix=/var/cache/x", "-W", "error"]
    said = subprocess.run(
        [
            sys.executable,
            "-O",
            "-X",
            "utf8",
            "-c",
            f"import sys; sys.path.append({ROOT!r}); from canaryproxy.isolated import options; print(*options())",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    ).stdout.split()
    assert {"-I", "-S", "-O", "utf8"} <= set(said)


@pytest.mark.parametrize(
    ("program", "path", "named", "settled", "strange"),
    [
        ("/bin/canaryproxy", ["/bin", "/pp", "/std", "/site"], "/pp", ["/bin", "/std", "/site"], ["/pp"]),
        ("/bin/canaryproxy", ["/bin", "/a", "/b", "/std"], "/a:/b/", ["/bin", "/std"], ["/a", "/b"]),
        ("/bin/canaryproxy", ["/bin", HERE, "/std"], ":", ["/bin", "/std"], [HERE]),
        ("-m", ["/cwd", "/std", "/site"], "", ["/std", "/site"], []),
        ("-m", ["/cwd", "/pp", "/std"], "/pp", ["/std"], ["/pp"]),
        ("-m", [ROOT, "/std"], "", ["/std"], [ROOT]),
        ("/bin/pytest", ["/bin", "/pp", "/std"], "/pp", ["/bin", "/pp", "/std"], []),
        ("", ["", "/pp", "/std"], "/pp", ["", "/pp", "/std"], []),
    ],
)
def test_what_was_put_in_front_of_the_standard_library_goes_or_is_searched_last(
    program: str, path: list[str], named: str, settled: list[str], strange: list[str]
) -> None:
    environ = {"PYTHONPATH": named}
    assert settle(path, program, environ, complete=lambda _: True) == settled
    assert settle(path, program, environ, complete=lambda _: False) == settled + strange


def test_a_path_is_complete_where_our_dependencies_are() -> None:
    assert complete(directories())
    assert not complete(["/nowhere"])


def test_options_that_keep_a_path_clean_are_heeded() -> None:
    assert settle(["/std", "/pp"], "-m", {"PYTHONPATH": "/std"}, safe=True, deaf=True) == ["/std", "/pp"]
    assert settle([], "-m", {}) == []


def test_the_child_loads_this_very_package_and_runs_the_module(tmp_path: Path) -> None:
    """With whatever lies in the working directory, and PYTHONPATH."""
    for stray in ("canaryproxy", "asyncio", "uvloop"):
        (tmp_path / stray).mkdir()
        (tmp_path / stray / "__init__.py").write_text("raise SystemExit('a stranger')\n")
    (tmp_path / "sitecustomize.py").write_text("print('a stranger')\n")
    module = tmp_path / "elsewhere"
    module.mkdir()
    (module / "child_of_ours.py").write_text(
        "import asyncio, canaryproxy, sys, uvloop\n"
        "def main(arguments):\n    print(canaryproxy.__file__, sys.flags.isolated, sys.flags.no_site, *arguments)\n"
    )
    python, *rest = command("child_of_ours", "a", "b")
    rest.insert(rest.index("--"), str(module))
    done = subprocess.run(
        [python, *rest],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.stdout.split() == [str(SOURCES / "__init__.py"), "1", "1", "a", "b"], done.stderr


def test_a_package_that_cannot_be_found_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.spec_from_file_location", lambda *_, **__: None)
    with pytest.raises(ImportError, match="there is no package in"):
        isolated.main(["some", "--"])
