"""What is stored of a canary under way, whichever version reads it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.control.evidence import KNOWN, Evidence, V, dump, load
from canaryproxy.model.document import TooNewError
from tests.rollout.test_codec import JSON

LATER = st.dictionaries(st.text(max_size=9).filter(lambda name: name not in KNOWN), JSON, max_size=3)
TIMES = st.floats(0, 1e10)
EVIDENCE = st.builds(
    Evidence, TIMES, st.text(), st.text(), TIMES, TIMES, st.dictionaries(st.text().filter(lambda one: one != "v"), JSON), LATER,
)  # fmt: skip
ONE = Evidence(5.0, "abc", "v2", 1.0, 0.5, {"unit": "request"})


def changed(**fields: object) -> str:
    return json.dumps({**json.loads(dump(ONE)), **fields})


@given(EVIDENCE)
def test_what_is_dumped_loads_as_it_was(evidence: Evidence) -> None:
    assert load(dump(evidence)) == evidence


@given(LATER)
def test_what_a_later_version_has_added_is_written_back(later: dict[str, Any]) -> None:
    again = json.loads(dump(load(changed(**later))))
    assert {name: again[name] for name in later} == later


@pytest.mark.parametrize(("name", "default"), [("version", ""), ("lost", 0.0)])
def test_a_field_that_is_missing_has_its_default(name: str, default: object) -> None:
    kept = json.loads(dump(ONE))
    del kept[name]
    assert getattr(load(json.dumps(kept)), name) == default


def test_the_form_without_a_version_is_read() -> None:
    kept = json.loads(dump(ONE))
    del kept["v"]
    assert load(json.dumps(kept)) == ONE


@pytest.mark.parametrize("later", [{"v": V + 1}, {"judge": {"v": 99}}])
def test_what_must_not_be_acted_on_by_this_version_is_too_new(later: dict[str, object]) -> None:
    with pytest.raises(TooNewError):
        load(changed(**later))


@pytest.mark.parametrize(
    "wrong", [{"at": "now"}, {"at": None}, {"of": 1}, {"version": 2}, {"step": True}, {"lost": "x"}, {"judge": []}]
)
def test_anything_else_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        load(changed(**wrong))
    for text in ("", "{", "[]", "{}"):
        with pytest.raises((ValueError, TypeError, KeyError)):
            load(text)
