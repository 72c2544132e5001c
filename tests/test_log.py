"""Log lines for people and for machines."""

import json
import logging
import sys

import pytest

from canaryproxy import log


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(log.FORMAT, "info:text")


def test_json_lines_carry_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    record = logging.LogRecord("canaryproxy", logging.WARNING, "f", 1, "weight of %s", ("shop",), None)
    record.fields = {"route": "shop", "generation": 2}
    line = json.loads(log.Json().format(record))
    assert (line["level"], line["message"], line["route"], line["generation"]) == (
        "warning",
        "weight of shop",
        "shop",
        2,
    )
    assert line["time"].endswith("Z")


def test_an_exception_is_part_of_the_line() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        record = logging.LogRecord("canaryproxy", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    assert "ValueError: x" in json.loads(log.Json().format(record))["exception"]


def test_workers_inherit_level_and_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **given: found.append(given))
    found: list[dict[str, object]] = []
    log.configure("debug", "json")
    log.configure()
    assert [one["level"] for one in found] == ["DEBUG", "DEBUG"]
    assert isinstance(found[1]["handlers"][0].formatter, log.Json)  # type: ignore[index]
    with pytest.raises(ValueError, match="no such log"):
        log.configure("loud", "json")
