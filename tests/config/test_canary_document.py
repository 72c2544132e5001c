"""A canary as the API is sent it: read like the config's, shown as it was written, kept as text."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canaryproxy.config.canary_document import (
    NO_CANARY,
    CanaryDocument,
    canary_set,
    version_from_written,
)
from canaryproxy.config.schema.section import InvalidDocumentError, as_written
from tests.support.authority import Authority

SECONDS = st.integers(1, 600_000).map(lambda number: f"{number}ms")
HEALTH = st.fixed_dictionaries(
    {"path": st.just("/healthz")},
    optional={
        "interval": SECONDS,
        "timeout": SECONDS,
        "unhealthy": st.integers(1, 9),
        "version_header": st.just("X-V"),
    },
)
SETTINGS = {
    "connect_timeout": SECONDS,
    "response_timeout": SECONDS,
    "keep_alive": SECONDS,
    "health": HEALTH | st.just("off"),
    "max_in_flight": st.integers(1, 10_000) | st.just("none"),
}
URLS = st.sampled_from(["http://a", "http://[::1]:80", "http://10.0.0.1:8080", "http://shop.internal:1"])
WRITTEN = (
    URLS
    | st.fixed_dictionaries({"url": URLS | st.just("https://b")}, optional=SETTINGS)
    | st.fixed_dictionaries({"endpoints": st.lists(URLS, min_size=1, max_size=4)}, optional=SETTINGS)
)


@given(WRITTEN)
def test_what_is_shown_of_a_version_reads_as_the_same_version(written: object) -> None:
    version = version_from_written(written)
    shown = as_written(version)
    assert version_from_written(json.loads(json.dumps(shown))) == version
    assert as_written(version_from_written(shown)) == shown


@given(WRITTEN)
def test_what_was_kept_is_what_was_set(written: object) -> None:
    canary = canary_set(written)
    again = CanaryDocument.kept(canary.written)
    assert (again, again.version, again.problem) == (canary, canary.version, "")
    assert canary.renewed() is canary


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, [("", "expected a URL such as http://localhost:9001, or a mapping with `url` and timeouts")]),
        (5, [("", "expected a URL such as http://localhost:9001, or a mapping with `url` and timeouts")]),
        ("none", [("url", "write the scheme, too")]),
        ({}, [("", "neither `url` nor `endpoints`")]),
        ({"url": "http://a", "weight": 5}, [("weight", "is not a known key")]),
        ({"url": "http://a/path"}, [("url", "no path")]),
        ({"url": "http://a", "connect_timeout": "1d"}, [("connect_timeout", "expected a duration")]),
        ({"url": "http://a", "health": {"interval": "1s"}}, [("health.path", "is missing")]),
        ({"endpoints": ["http://a", "https://b"]}, [("", "same scheme")]),
        ({"url": "http://a", "health": 5}, [("health", "expected a mapping")]),
    ],
)
def test_what_is_no_version_is_refused_with_its_paths(written: object, said: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidDocumentError) as refused:
        canary_set(written)
    assert [path for path, _ in refused.value.problems] == [path for path, _ in said]
    if written != "none":
        assert all(words in data for (_, words), (_, data) in zip(said, refused.value.problems, strict=True))


def test_none_is_a_canary_of_the_api_too() -> None:
    assert (NO_CANARY.version, CanaryDocument.kept("")) == (None, NO_CANARY)


def test_files_are_read_again_and_what_is_gone_goes_on_as_it_was_read_last(tmp_path: Path) -> None:
    ca = Authority().write_ca(tmp_path)
    canary = canary_set({"url": "https://a", "tls": {"ca": str(ca)}})
    assert as_written(canary.version)["tls"] == {"ca": str(ca)}  # type: ignore[arg-type]
    Authority().write_ca(tmp_path)
    renewed = canary.renewed()
    assert (renewed == canary, renewed.version == canary.version, renewed.problem) == (True, False, "")
    ca.unlink()
    gone = renewed.renewed()
    assert gone.version is renewed.version
    assert "tls.ca: this file cannot be read" in gone.problem
    lost = CanaryDocument.kept(canary.written)
    assert (lost == canary, lost.version) == (True, None)
    assert lost.problem
