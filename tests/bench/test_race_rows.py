"""Ratios are taken round by round, and what is put in a file comes out of it."""

import json
from pathlib import Path

import pytest

from bench.race import results
from bench.race.load import read
from bench.race.results import Results, Run
from bench.race.rows import Row, Rows, Spread, paired, spread


def row(peer: str, number: int, cpu: float, setting: str = "") -> Row:
    return Row("requests", peer, setting, number, {"cpu": cpu})


def test_a_spread_is_median_least_and_most() -> None:
    assert spread([3, 1, 2]) == Spread(2, 1, 3)
    assert spread([1234.5, 1, 2000]).said() == "1,234.5 (1.0-2,000.0)"


def test_a_machine_that_drifts_does_not_change_a_ratio() -> None:
    rows = Rows([row("a", 1, 10), row("b", 1, 20), row("b", 2, 60), row("a", 2, 30)])
    assert paired(rows.of("a"), rows.of("b"), "cpu") == Spread(0.5, 0.5, 0.5)


def test_a_round_that_one_of_both_lacks_is_left_out() -> None:
    rows = Rows([row("a", 1, 10), row("b", 1, 20), row("a", 2, 30)])
    assert paired(rows.of("a"), rows.of("b"), "cpu") == Spread(0.5, 0.5, 0.5)
    assert paired(rows.of("a"), rows.of("c"), "cpu") is None
    assert paired(rows.of("a"), rows.of("b"), "rate") is None


def test_rows_are_asked_by_part_peer_and_setting() -> None:
    rows = Rows([row("a", 1, 1, "x"), row("b", 1, 2, "y"), row("a", 2, 3, "x")])
    assert rows.peers() == ["a", "b"]
    assert rows.settings() == ["x", "y"]
    assert rows.of("a").at("x").spread("cpu") == Spread(2, 1, 3)
    assert rows.of("a").spread("rate") is None
    assert not rows.part("latency")


def test_a_part_that_is_run_again_replaces_itself(tmp_path: Path) -> None:
    run = Run("make bench", "2026-11-25", "a machine", "1", 5, 4)
    found = Results()
    found.put("requests", run, [row("a", 1, 1)])
    found.put("latency", run, [Row("latency", "a", "equal", 1, {"p99": 5})])
    found.put("requests", run, [row("a", 1, 2)])
    found.write(tmp_path / "results.json")
    again = results.read(tmp_path / "results.json")
    assert again == found
    assert [one.values for one in again.part("requests").all] == [{"cpu": 2}]
    assert results.read(tmp_path / "none.json") == Results()


def test_the_load_is_read() -> None:
    said = {"requests": 10, "errors": 0, "uncompleted": 0, "late": 1, "closed": 0, "seconds": 2.0, "bytes": 1000,
            "error": "", "quantiles": {"50": 100.0, "99.9": 250.5}}  # fmt: skip
    answers = read(json.dumps(said))
    assert answers.rate == 5
    assert answers.latencies() == {"p50": 100.0, "p99.9": 250.5}


@pytest.mark.parametrize("line", ["", "ready", '{"requests": 1}', "[1]"])
def test_what_is_no_result_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="the load said"):
        read(line)
