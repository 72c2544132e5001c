"""Version, tag and changelog agree, and a release is cut from what the changelog says."""

import datetime as dt
import subprocess
from pathlib import Path

import pytest

from tests.support.process import ROOT
from tools.release import CHANGELOG, PACKAGE, ReleaseError, contradictions, cut, main, sections, version_in

SOURCE = '"""A package."""\n\n__version__ = "0.2.0"\nREST = 1\n'
CHANGES = """# Changelog

All notable changes.

## [Unreleased]

### Added

- A thing.

## [0.2.0] - 2026-11-28

- The second.

## [0.1.0] - 2026-10-01

- The first.
"""
FIRST = "# Changelog\n\n## [Unreleased]\n\n- Everything.\n"
TODAY = dt.date(2026, 12, 1)


def released(changelog: str) -> str:
    """The changelog of the moment of a release, with nothing left to release."""
    return changelog.replace("### Added\n\n- A thing.\n\n", "")


def test_the_version_the_changelog_and_the_tag_of_this_checkout_agree() -> None:
    assert contradictions((ROOT / PACKAGE).read_text(), (ROOT / CHANGELOG).read_text(), []) == []


def test_before_the_first_release_any_version_agrees() -> None:
    assert contradictions(SOURCE, FIRST, []) == []


def test_after_a_release_new_notes_agree_as_long_as_there_is_no_tag() -> None:
    assert contradictions(SOURCE, CHANGES, []) == []


@pytest.mark.parametrize("tags", [["v0.2.0"], ["nightly", "v0.2.0"], ["nightly"]])
def test_the_commit_of_a_release_agrees_with_its_tag(tags: list[str]) -> None:
    assert contradictions(SOURCE, released(CHANGES), tags) == []


@pytest.mark.parametrize(
    ("source", "changelog", "tags", "words"),
    [
        (SOURCE.replace("0.2.0", "0.3.0"), CHANGES, [], "is 0.3.0, the newest section of CHANGELOG.md is [0.2.0]"),
        (SOURCE, CHANGES.replace("0.1.0", "0.2.0"), [], "[0.2.0] does not follow"),
        (SOURCE, CHANGES.replace("2026-10-01", "2026-11-29"), [], "[0.2.0] does not follow"),
        (SOURCE, CHANGES.replace("- The first.\n", ""), [], "[0.1.0] is empty"),
        (SOURCE, released(CHANGES), ["v0.3.0"], "the tag is v0.3.0, the version is 0.2.0"),
        (SOURCE, CHANGES, ["v0.2.0"], "has notes that are not released"),
        (SOURCE, FIRST, ["v0.2.0"], "has no section [0.2.0]"),
    ],
)
def test_what_contradicts_is_named(source: str, changelog: str, tags: list[str], words: str) -> None:
    assert any(words in one for one in contradictions(source, changelog, tags))


@pytest.mark.parametrize(
    ("source", "changelog", "words"),
    [
        ("", CHANGES, "assigns __version__ 0 times"),
        (SOURCE + '__version__ = "1.0.0"\n', CHANGES, "assigns __version__ 2 times"),
        (SOURCE, "# Changelog\n", "does not begin with the section"),
        (SOURCE, CHANGES.replace("## [Unreleased]", "## Unreleased"), "does not begin with the section"),
        (SOURCE, CHANGES.replace(" - 2026-11-28", ""), "[0.2.0] has no date"),
        (SOURCE, CHANGES.replace("2026-11-28", "2026-11-31"), "[0.2.0] has an impossible date"),
        (SOURCE, CHANGES.replace("[0.1.0]", "[0.1]"), "'0.1' is not MAJOR.MINOR.PATCH"),
        (SOURCE, CHANGES.replace("[0.1.0]", "[0.01.0]"), "'0.01.0' is not MAJOR.MINOR.PATCH"),
    ],
)
def test_what_cannot_be_read_is_an_error(source: str, changelog: str, words: str) -> None:
    with pytest.raises(ReleaseError) as error:
        contradictions(source, changelog, [])
    assert words in str(error.value)


def test_a_cut_dates_what_was_not_released_and_leaves_room_for_what_comes() -> None:
    source, changelog = cut(SOURCE, CHANGES, "0.3.0", TODAY)
    assert source == SOURCE.replace("0.2.0", "0.3.0")
    notes, found = sections(changelog)
    assert notes == ""
    assert [(one.version, one.dated) for one in found] == [
        ("0.3.0", " - 2026-12-01"), ("0.2.0", " - 2026-11-28"), ("0.1.0", " - 2026-10-01"),
    ]  # fmt: skip
    assert found[0].notes == "### Added\n\n- A thing."
    assert contradictions(source, changelog, ["v0.3.0"]) == []


def test_the_first_release_may_have_any_version_above_that_of_the_source() -> None:
    source, changelog = cut(SOURCE.replace("0.2.0", "0.1.0"), FIRST, "0.2.0", TODAY)
    assert version_in(source) == "0.2.0"
    assert contradictions(source, changelog, ["v0.2.0"]) == []


@pytest.mark.parametrize(
    ("changelog", "version", "date", "words"),
    [
        (released(CHANGES), "0.3.0", TODAY, "nothing to release"),
        (CHANGES, "0.2.0", TODAY, "0.2.0 does not follow 0.2.0"),
        (CHANGES, "0.1.9", TODAY, "0.1.9 does not follow 0.2.0"),
        (CHANGES, "next", TODAY, "'next' is not MAJOR.MINOR.PATCH"),
        (CHANGES, "0.3.0", dt.date(2026, 11, 27), "is before the release of 0.2.0"),
    ],
)
def test_what_is_no_release_is_not_cut(changelog: str, version: str, date: dt.date, words: str) -> None:
    with pytest.raises(ReleaseError) as error:
        cut(SOURCE, changelog, version, date)
    assert words in str(error.value)


def _git(folder: Path, *arguments: str) -> None:
    name = ("-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_command_cuts_and_holds_the_tag_of_the_commit_against_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "canaryproxy").mkdir()
    (tmp_path / PACKAGE).write_text(SOURCE)
    (tmp_path / CHANGELOG).write_text(CHANGES)
    assert main(["check"], tmp_path) == 0, "without git there is no tag to compare"
    assert main(["cut", "0.3.0", "2026-12-01"], tmp_path) == 0
    assert main(["cut", "0.4.0", "2026-12-02"], tmp_path) == 1
    assert "nothing to release" in capsys.readouterr().err
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "Release 0.3.0")
    assert main(["check"], tmp_path) == 0
    _git(tmp_path, "tag", "v0.2.9")
    assert main(["check"], tmp_path) == 1
    assert capsys.readouterr().err == "the tag is v0.2.9, the version is 0.3.0\n"
