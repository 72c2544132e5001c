"""What is installed is what was locked: every command of a build checks hashes or fetches nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import ROOT

FILES = [
    ROOT / name
    for name in ("Dockerfile", "Makefile", ".ci/run", ".ci/programs", ".github/workflows/ci.yml")
    if (ROOT / name).exists()
] + [
    path for folder in ("k8s", "tools", "config", "monitoring") for path in (ROOT / folder).rglob("*") if path.is_file()
]

COMMAND = re.compile(
    r"(?:\bpip3?|\bpipx|\bPIP\)|\buv)(?:\s+-\S+)*\s+(?:pip\s+)?(install|wheel|download|sync|run)\b(.*)"
)

TOOLS = {"Makefile": ["install uv"]}
"""What writes the locks cannot be in them. It is run by hand, and what it writes is reviewed."""


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Verb and arguments of each command that installs something."""
    joined = re.sub(r"\\\n", " ", text)
    for part in re.split(r"\n|&&|\|\||;", joined):
        if not part.lstrip(" \t@").startswith("#") and (found := COMMAND.search(part)):
            yield found[1], " ".join(found[2].split())


def fetches_unchecked(verb: str, arguments: str) -> bool:
    """Whether anything may come from an index without its hash: also what a build needs."""
    words = arguments.split()
    if "--require-hashes" in words:
        return "-r" not in words
    built = "--no-build-isolation" in words or any(word.endswith(".whl") for word in words)
    return not ({"--no-index", "--no-deps"} & set(words) and built)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_installed_without_its_hash(path: Path) -> None:
    text = path.read_text("utf-8", "replace")
    found = [" ".join(command) for command in commands(text) if fetches_unchecked(*command)]
    assert found == TOOLS.get(str(path.relative_to(ROOT)), [])


@pytest.mark.parametrize(
    ("line", "unchecked"),
    [
        ("RUN pip install --no-cache-dir foo", True),
        ("RUN pip install foo --require-hashes", True),
        ("RUN pip install -r requirements.txt", True),
        ("RUN pip install --require-hashes \\\n -r requirements.txt", False),
        ("RUN pip install .", True),
        ("RUN pip install --no-deps .", True),
        ("RUN pip install --no-deps --no-build-isolation .", False),
        ("RUN pip wheel --no-build-isolation --no-deps -w dist .", False),
        ("RUN x/pip install --no-index dist/a.whl", False),
        ("\t@$(PIP) install uv", True),
        ("RUN python3 -m pip install foo", True),
        ("RUN pip --no-cache-dir install foo", True),
        ("RUN uv pip install foo", True),
        ("RUN uv pip sync requirements.txt", True),
        ("RUN true && pip install foo", True),
    ],
)
def test_the_check_itself(line: str, unchecked: bool) -> None:
    assert [fetches_unchecked(*command) for command in commands(line)] == [unchecked]


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_every_locked_package_has_a_version_and_hashes(lock: Path) -> None:
    packages = [part for part in re.split(r"(?<!\\)\n", lock.read_text()) if part and not part.lstrip().startswith("#")]
    assert len(packages) >= 2
    for package in packages:
        assert re.match(r"[A-Za-z0-9_.\[\]-]+==\S+.*--hash=sha256:[0-9a-f]{64}", package, re.DOTALL), package
