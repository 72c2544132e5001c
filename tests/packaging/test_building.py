"""What a build makes: wheels, extensions in place, source distributions; with a compiler and without."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from canaryproxy.mode import HOT, RECORD, SUFFIX, SWITCH
from tests.support.process import ROOT

ONE = "canaryproxy.telemetry.record.histogram"
"""Compiled alone here: that all of them can be, the suite shows that runs compiled."""

pytestmark = [pytest.mark.needs("python3-config")]
with_gcc = pytest.mark.needs("gcc")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout that has never been built, with one hot module and types for it."""
    copy = tmp_path / "tree"
    hidden = shutil.ignore_patterns("__pycache__", "*.so", "*.digest")
    shutil.copytree(ROOT / "canaryproxy", copy / "canaryproxy", ignore=hidden)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    mode = copy / "canaryproxy" / "mode.py"
    text, found = re.subn(r"^HOT = \(.*?^\)$", f"HOT = ({ONE!r},)", mode.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert found == 1
    mode.write_text(text)
    (copy / "canaryproxy/telemetry/record/histogram.pxd").write_text("cpdef double middle(int index)\n")
    return copy


def python(tree: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    """Run Python in the tree: exit code, and what it said."""
    kept = {key: value for key, value in os.environ.items() if key not in (SWITCH, "CC", "CFLAGS", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**kept, "CFLAGS": "-O0", **environ},
        timeout=120,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def run(tree: Path, *arguments: str, **environ: str) -> str:
    """The same where it must not fail."""
    code, said = python(tree, *arguments, **environ)
    assert code == 0, said
    return said


def wheel(tree: Path, **environ: str) -> tuple[Path, str]:
    """The wheel that pip builds, and what it said."""
    said = run(
        tree,
        "-m",
        "pip",
        "wheel",
        "--verbose",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--wheel-dir",
        "dist",
        ".",
        **environ,
    )
    (made,) = (tree / "dist").glob("*.whl")
    return made, said


def inside(made: Path) -> list[str]:
    with zipfile.ZipFile(made) as archive:
        return archive.namelist()


def in_place(tree: Path, **environ: str) -> str:
    return run(tree, "setup.py", "--quiet", "build_ext", "--inplace", **environ)


def reported(tree: Path, **environ: str) -> str:
    return run(tree, "-m", "canaryproxy", "--version", **environ)


@pytest.mark.parametrize(
    ("compiler", "missing"), [("/nowhere/cc", "there is no C compiler (/nowhere/cc)"), ("false", "false does not work")]
)
def test_without_a_compiler_the_wheel_is_plain_and_says_so(tree: Path, compiler: str, missing: str) -> None:
    made, said = wheel(tree, CC=compiler)
    assert made.name.endswith("-py3-none-any.whl")
    (line,) = [line.strip() for line in said.splitlines() if "stays plain" in line]
    assert line.startswith(f"canaryproxy stays plain Python, which is slower: {missing}")
    assert "apt-get install gcc" in line
    names = inside(made)
    assert not [name for name in names if name.endswith((".so", ".digest", ".c"))]


def test_without_cython_or_headers_it_says_what_is_missing(tree: Path) -> None:
    (tree / "Cython.py").write_text("raise ImportError\n")
    assert "Cython is missing (pip install" in in_place(tree, PYTHONPATH=".")
    (tree / "Cython.py").unlink()
    compiler = tree / "cc"
    compiler.write_text("#!/bin/sh\necho 'fatal error: Python.h: No such file or directory' >&2; exit 1\n")
    compiler.chmod(0o755)
    assert "Python.h is missing; on Debian and Ubuntu: apt-get install python3-dev" in in_place(tree, CC=str(compiler))
    assert reported(tree).endswith("(plain Python, CPython " + sys.version.split()[0] + ")\n")


def test_plain_can_be_asked_for_and_compiled_insisted_on(tree: Path) -> None:
    made, said = wheel(tree, CANARYPROXY_PLAIN="1")
    assert made.name.endswith("-py3-none-any.whl")
    assert "stays plain" not in said
    code, said = python(tree, "setup.py", "--quiet", "build_ext", "--inplace", CC="/nowhere/cc", CANARYPROXY_PLAIN="0")
    assert code != 0
    assert "canaryproxy cannot be compiled: there is no C compiler" in said


@with_gcc
def test_with_a_compiler_the_wheel_is_compiled_and_can_still_run_plain(tree: Path) -> None:
    made, said = wheel(tree)
    assert "stays plain" not in said
    assert re.search(r"-cp3\d+-cp3\d+-linux_", made.name)
    names = inside(made)
    compiled = [name for name in names if name.endswith(SUFFIX)]
    assert compiled == [f"{ONE.replace('.', '/')}{SUFFIX}"]
    assert {f"canaryproxy/{RECORD}", "canaryproxy/telemetry/record/histogram.pxd", "canaryproxy/py.typed"} <= set(names)
    assert not [name for name in names if name.endswith(".c")]
    assert not list((tree / "canaryproxy").rglob("*.c"))
    installed = tree / "installed"
    run(tree, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(installed), str(made))
    assert "(compiled, CPython " in reported(installed)
    assert f"(plain Python: {SWITCH}=1, CPython " in reported(installed, CANARYPROXY_PLAIN="1")


@with_gcc
def test_in_place_an_edit_runs_at_once_and_is_compiled_the_next_time(tree: Path) -> None:
    extension = tree / f"{ONE.replace('.', '/')}{SUFFIX}"
    first, last = in_place(tree).splitlines()
    assert first.startswith("canaryproxy: compiling 1 module on ")
    assert last.startswith("canaryproxy: compiled 1 in ")
    assert "(compiled, " in reported(tree)
    built = (tree / "build").rglob(f"*{SUFFIX}")
    before = [path.stat().st_mtime_ns for path in built]
    assert in_place(tree) == ""
    assert [path.stat().st_mtime_ns for path in (tree / "build").rglob(f"*{SUFFIX}")] == before
    source = tree / f"{ONE.replace('.', '/')}.py"
    source.write_text(source.read_text() + "EDITED = True\n")
    os.utime(source, (0, 0))
    edited = f"import {ONE} as it; print(it.EDITED, it.__file__)"
    assert run(tree, "-c", edited) == f"True {source}\n"
    assert "changed since they were compiled" in reported(tree)
    in_place(tree)
    assert run(tree, "-c", edited) == f"True {extension}\n"
    stray = extension.with_name(f"record{SUFFIX}")
    stray.touch()
    in_place(tree, CC="/nowhere/cc")
    assert not list((tree / "canaryproxy").rglob("*.so"))
    assert "(plain Python, " in reported(tree)


@with_gcc
def test_what_was_compiled_for_one_build_is_taken_by_the_next(tree: Path) -> None:
    """In place, editable and as a wheel; with another compiler's options it is compiled again."""
    assert "compiling 1 module" in in_place(tree)
    at = tree / "there"
    said = run(
        tree,
        "-m",
        "pip",
        "install",
        "--verbose",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--target",
        str(at),
        "--editable",
        ".",
    )
    assert "canaryproxy: compiling" not in said
    _, said = wheel(tree)
    assert "canaryproxy: compiling" not in said
    assert in_place(tree) == ""
    assert "(compiled, " in reported(tree)
    assert "compiling 1 module" in in_place(tree, CFLAGS="-O1")


@with_gcc
def test_a_compiler_that_fails_leaves_nothing_to_be_taken(tree: Path) -> None:
    source = tree / f"{ONE.replace('.', '/')}.pxd"
    good = source.read_text()
    source.write_text("nonsense\n")
    assert "stays plain" in in_place(tree)
    assert not list((tree / "build").rglob(f"*{SUFFIX}*"))
    source.write_text(good)
    assert "compiled 1 in" in in_place(tree)


@with_gcc
def test_on_a_terminal_that_pip_hides_the_progress_is_shown_all_the_same(tree: Path) -> None:
    """What the build says goes to pip; what the terminal gets is read from its other end."""
    ours, theirs = pty.openpty()
    environ = {key: value for key, value in os.environ.items() if key not in (SWITCH, "CC", "PYTHONPATH")}
    process = subprocess.Popen(
        [sys.executable, "-c", LEADER, sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=tree,
        env={**environ, "CFLAGS": "-O0"},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(ours, 4096):
            shown += data
    os.close(ours)
    hidden, _ = process.communicate(timeout=120)
    assert process.returncode == 0, hidden
    for part in (
        b"canaryproxy: compiling 1 module on ",
        b"canaryproxy: compiling 1/1 ...",
        b"canaryproxy: compiled 1 in ",
    ):
        assert part in shown
    assert b"1/1" not in hidden


LEADER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Takes the terminal that is its standard input for its own, and runs a command."""


def test_a_source_distribution_has_what_is_compiled_and_nothing_generated(tree: Path) -> None:
    run(tree, "setup.py", "--quiet", "sdist")
    (made,) = (tree / "dist").glob("*.tar.gz")
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"setup.py", "canaryproxy/mode.py", "canaryproxy/telemetry/record/histogram.py"} <= names
    assert "canaryproxy/telemetry/record/histogram.pxd" in names
    assert not [name for name in names if name.endswith((".c", ".so", ".digest"))]


def test_whatever_is_compiled_can_run_plain() -> None:
    for name in HOT:
        assert (ROOT / name.replace(".", "/")).with_suffix(".py").exists()
