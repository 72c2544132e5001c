"""Words that have no place in code, docs, messages and commit subjects: the field has a term, or plain English has a noun.

The glossary and CONTRIBUTING say what to write instead. There is no list of exceptions: what is stored under an old name is
a string of one word, or SQL, and is not read here.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SINCE = "d8fb47b"
"""The commit after which subjects are held to the list."""

WORDS = (
    "told", "mend", "mends", "mended", "mending", "anew", "somebody", "nobody", "whoever", "whomever", "lot", "lots", "hither", "thither",
    "whence", "whither", "hitherto", "twain",
)  # fmt: skip
PHRASES = re.compile(rf"\b(?:{'|'.join(WORDS)}|left\s+alone|told\s+apart)\b", re.IGNORECASE)
SQL = re.compile(r"\s*(?:CREATE|SELECT|INSERT|UPDATE|DELETE|ALTER|DROP)\b")
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

CODE = (".py", ".pyi", ".pyx", ".pxd")
TEXT = (".md", ".yaml", ".yml", ".toml", ".sh", ".json", ".txt")
FOLDERS = ("canaryproxy", "tests", "bench", "tools", "docs", "config", "k8s", "monitoring", ".ci", ".github")
SINGLE = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "GLOSSARY.md",
    "SECURITY.md",
    "Makefile",
    "Dockerfile",
    "pyproject.toml",
    "setup.py",
)


def files() -> Iterator[Path]:
    """What is held to the list, but this file, which has to name the words."""
    for name in SINGLE:
        if (ROOT / name).exists():
            yield ROOT / name
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            generated = "__pycache__" in path.parts or ("state" in path.parts and "data" in path.parts)
            if path.suffix in (*CODE, *TEXT) and path != Path(__file__) and not generated:
                yield path


def of_names(text: str) -> Iterator[str]:
    """Identifiers of which a part is such a word."""
    for name in IDENTIFIER.findall(text):
        if {piece.lower() for piece in PIECE.findall(name)} & set(WORDS):
            yield name


def of_prose(text: str) -> Iterator[str]:
    """Such words and phrases in sentences."""
    for found in PHRASES.finditer(text):
        yield f"{text[max(found.start() - 30, 0) : found.end() + 30]!r}"


def of_python(text: str) -> Iterator[tuple[int, str]]:
    """Identifiers, comments, docstrings and messages of a module, with their lines."""
    for node in ast.walk(ast.parse(text)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if " " in node.value.strip() and not SQL.match(node.value):
                for found in of_prose(node.value):
                    yield line, found
            continue
        names = [getattr(node, field, None) for field in ("id", "attr", "arg", "name", "asname", "module", "rest")]
        for name in [*names, *getattr(node, "names", [])]:
            if isinstance(name, str):
                for found in of_names(name):
                    yield line, found
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            for found in of_prose(token.string):
                yield token.start[0], found


def of_lines(text: str) -> Iterator[tuple[int, str]]:
    """What stands in any other text."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in of_prose(line):
            yield number, found


def of_cython(text: str) -> Iterator[tuple[int, str]]:
    """Identifiers and prose of a `.pyx` or `.pxd`."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in (*of_names(line), *of_prose(line)):
            yield number, found


def found_in(path: Path) -> list[str]:
    """Every place, as an editor can jump to it."""
    text = path.read_text()
    if path.suffix == ".py":
        places = of_python(text)
    elif path.suffix in CODE:
        places = of_cython(text)
    else:
        places = of_lines(text)
    return [f"{path.relative_to(ROOT)}:{line}: {what}" for line, what in places]


@pytest.mark.parametrize("path", list(files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_uses_a_word_of_the_list(path: Path) -> None:
    assert "\n".join(found_in(path)) == ""


def test_no_file_is_named_by_a_word_of_the_list() -> None:
    assert [str(path.relative_to(ROOT)) for path in files() if list(of_names(path.stem))] == []


def test_no_commit_subject_uses_a_word_of_the_list() -> None:
    command = ["git", "-C", str(ROOT), "log", "--format=%h %s", f"{SINCE}..HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no clone that has the commit from which subjects are held to the list")
    assert [line for line in done.stdout.splitlines() if PHRASES.search(line)] == []


def test_no_class_name_means_two_things() -> None:
    """The twin of a compiled module has the names of that: it is a `.pyx`, and not read here."""
    defined: dict[str, list[str]] = {}
    for path in sorted((ROOT / "canaryproxy").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                defined.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in defined.items() if len(paths) > 1} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("total = slot.lots\n", ["lots"]),
        ("class Lot:\n    pass\n", ["Lot"]),
        ("def f(told=1):\n    return told\n", ["told", "told"]),
        ('"""Who is told of it."""\n', ["'Who is told of it.'"]),
        ("x = 1  # begin anew\n", ["'# begin anew'"]),
        ('columns = ("name", "told")\nslot = "SELECT told FROM learnt"\n', []),
    ],
)
def test_the_list_finds_identifiers_and_prose_and_not_what_is_stored(text: str, found: list[str]) -> None:
    assert [what.strip() for _, what in of_python(text)] == found
