"""Every path and module that the documentation names exists."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.process import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "GLOSSARY.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "bench").glob("*.md")),
    *sorted((ROOT / "k8s").rglob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]
LINKED = [*PAGES, ROOT / "CHANGELOG.md"]
FOLDERS = ("canaryproxy", "tests", "bench", "docs", "config", "k8s", "monitoring", "tools")

CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
SUBPATH = re.compile(r"[\w/]+/\w+\.(?:py|pyx|pxd)")
MODULE = re.compile(r"canaryproxy(?!\.(?:ya?ml|db)$)(?:\.\w+)+")
MEMBER = re.compile(r"([a-z]\w*)\.(\w+)")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def words(page: Path) -> list[str]:
    """What stands in backticks, outside of blocks."""
    return CODE.findall(FENCE.sub("", page.read_text("utf-8")))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives the headings of a page."""
    titles = HEADING.findall(FENCE.sub("", page.read_text("utf-8")))
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain)


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name that stands in one."""
    parts = dotted.split(".")
    for cut in (len(parts), len(parts) - 1, len(parts) - 2):
        base = ROOT.joinpath(*parts[:cut])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if cut > 0 and file.exists():
                return all(re.search(rf"\b{name}\b", file.read_text("utf-8")) for name in parts[cut:])
    return False


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_in_backticks_exists(page: Path) -> None:
    found = [word for word in words(page) if PATH.fullmatch(word)]
    assert [path for path in found if not ((ROOT / path).exists() or (ROOT / "canaryproxy" / path).exists())] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_of_code_exists_in_the_repository_or_the_package(page: Path) -> None:
    found = [word for word in words(page) if SUBPATH.fullmatch(word)]
    assert [path for path in found if not ((ROOT / path).exists() or (ROOT / "canaryproxy" / path).exists())] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_dotted_name_of_the_package_exists(page: Path) -> None:
    assert [word for word in words(page) if MODULE.fullmatch(word) and not exists(word)] == []


def test_every_constant_and_function_that_the_security_page_names_exists() -> None:
    modules: dict[str, str] = {}
    for path in (ROOT / "canaryproxy").rglob("*.py*"):
        if path.suffix in (".py", ".pyx"):
            modules[path.stem] = modules.get(path.stem, "") + path.read_text("utf-8")
    named = [found for word in words(ROOT / "docs" / "security.md") if (found := MEMBER.fullmatch(word))]
    mine = [found for found in named if found[1] != "server" and found[2] not in ("md", "py", "yaml")]
    assert len(mine) > 50
    assert [found[0] for found in mine if not re.search(rf"\b{found[2]}\b", modules.get(found[1], ""))] == []


@pytest.mark.parametrize("page", LINKED, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_readme_has_at_most_seven_hundred_words_and_its_make_targets_exist() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    targets = set(re.findall(r"\bmake ([a-z-]+)", text))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert len(text.split()) <= 700
    assert {"demo", "test", "bench-full"} <= targets
    assert [one for one in sorted(targets) if not re.search(rf"^{one}:", makefile, re.MULTILINE)] == []


def figures(section: str) -> dict[str, float]:
    """The first figure of each proxy in a table of bench/RESULTS.md."""
    text = (ROOT / "bench" / "RESULTS.md").read_text("utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (?:\*\*)?([A-Za-z]+)(?:\*\*)? \| ([\d.]+)", text, re.MULTILINE)
    return {proxy: float(figure) for proxy, figure in found}


def test_the_figures_of_the_readme_and_the_guarantees_are_those_that_were_measured() -> None:
    cpu, idle = figures("CPU per request"), figures("Idle connections")
    readme = [line.replace("**", "") for line in (ROOT / "README.md").read_text("utf-8").splitlines()]
    order = ("canaryproxy", "Envoy", "nginx", "HAProxy", "Traefik")
    assert f"| CPU per proxied request | {' | '.join(f'{cpu[one]:.0f} µs' for one in order)} |" in readme
    (shown,) = (line for line in readme if line.startswith("| Memory per idle connection |"))
    sizes = [float(size) for size in re.findall(r"([\d.]+) KiB", shown)]
    assert all(abs(size - idle[one]) <= 0.051 for size, one in zip(sizes, order, strict=True))
    guarantees = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    assert re.findall(r"\| (\w+) \| ([\d.]+) µs \|", guarantees) == [
        (one, f"{cpu[one]:.1f}") for one in sorted(order, key=lambda one: cpu[one])
    ]
