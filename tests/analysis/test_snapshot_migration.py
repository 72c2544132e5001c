"""Evidence that commit 64e2905 stored attribute by attribute is read without losing any of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from canaryproxy.analysis.snapshot_migration import V, from_0, migrated, without_marks
from canaryproxy.model.document import TooNewError, added
from tests.support.golden import alike, plain
from tests.support.judged import JUDGED, fresh, seen

GOLDEN = Path(__file__).parents[1] / "data" / "state" / "64e2905"


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"judge-{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", JUDGED)
def test_a_judge_of_before_says_what_it_said(name: str) -> None:
    golden_judge, world = golden(name), seen(name)
    judge = fresh(world)
    judge.restore(golden_judge["stored"], golden_judge["now"])
    said = plain(judge.analysis(golden_judge["now"]))
    assert alike(golden_judge["analysis"], said), said


@pytest.mark.parametrize("name", JUDGED)
def test_all_that_it_knew_is_written_in_the_form_of_now(name: str) -> None:
    golden_judge, world = golden(name), seen(name)
    judge = fresh(world)
    judge.restore(golden_judge["stored"], golden_judge["now"])
    now = json.loads(json.dumps(judge.snapshot(golden_judge["now"])))
    was = from_0(golden_judge["stored"])
    assert added(was, now) == {}
    was["failed"] = was["failed"] and {**was["failed"]}
    for kept in (
        "unit",
        "weight",
        "panel",
        "exposed",
        "placebo",
        "at_risk",
        "goals_at_risk",
        "judged",
        "requests",
        "stable",
        "failed",
    ):
        assert now[kept] == was[kept], kept
    assert now["v"] == V


@pytest.mark.parametrize("name", JUDGED)
def test_no_name_of_an_attribute_is_stored(name: str) -> None:
    world = seen(name)

    def names(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*(names(one) for one in value.values()))
        return set().union(*(names(one) for one in value)) if isinstance(value, list) else set()

    assert not [one for one in names(world.judge.snapshot(world.now)) if one.startswith("_")]


def test_marks_of_every_kind_are_taken_off() -> None:
    marked = {
        "a": {
            "x": {"t": [1, {"f": "inf"}]},
            "y": {"d": [["k", {"s": [1]}], [3, {"q": [2], "n": 7}]]},
            "z": {"o": "Block", "v": [1, 2, 3, 4]},
            "w": None,
        }
    }
    assert without_marks(marked) == {"x": [1, "inf"], "y": {"k": [1], 3: [2]}, "z": [1, 2, 3, 4], "w": None}


def test_a_mark_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="no known kind"):
        without_marks({"x": 1})


def test_evidence_of_now_is_read_as_it_is() -> None:
    assert migrated({"v": V, "unit": "request"}) == {"v": V, "unit": "request"}


def test_evidence_of_a_later_version_is_said_to_be_that() -> None:
    with pytest.raises(TooNewError):
        migrated({"v": V + 1})


@pytest.mark.parametrize("wrong", [{}, {"learnt": {}}, {"v": 0, "failed": None, "learnt": []}])
def test_anything_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        migrated(wrong)
