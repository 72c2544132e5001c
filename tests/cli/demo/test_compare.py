"""Both ways side by side, as a user starts them."""

import json
import subprocess
import sys

from canaryproxy.cli.demo.compare import CustomerResults, conclusion, table
from tests.support.process import ROOT


def compare(*options: str) -> str:
    command = [sys.executable, "-m", "canaryproxy", "demo", "--compare", "--seconds", "4", "--rate", "150", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_outcome_as_numbers_shows_what_replica_counts_cannot_do() -> None:
    data = json.loads(compare("--json"))
    there, here = data["round_robin"], data["canaryproxy"]
    assert there["requests"] > 200
    assert abs(there["requests"] - here["requests"]) <= 5
    assert abs(there["canary_percent"] - 10) < 3
    assert here["canary_percent"] < 5
    assert (here["testers_on_canary_percent"], here["customers_with_both_versions"]) == (100.0, 0)
    assert there["customers_with_both_versions"] > 0
    assert 0 < data["way_back_seconds"] < 5


def test_people_get_a_table_and_sentences() -> None:
    said = compare()
    assert "9 + 1 replicas, round-robin" in said
    assert "PUT weight 0 was applied by every worker" in said


def met(*answers: tuple[int, str, bool, bool]) -> CustomerResults:
    made = CustomerResults()
    for customer, version, failed, tester in answers:
        made.count(customer, version, failed=failed, tester=tester)
    return made


def test_customers_are_counted_once_and_testers_apart() -> None:
    there = met(
        (1, "stable", False, False),
        (1, "canary", True, False),
        (1, "canary", True, False),
        (2, "stable", False, False),
        (9, "stable", False, True),
        (9, "canary", False, True),
    )
    assert there.facts() == {
        "requests": 4,
        "canary_percent": 50.0,
        "failed": 2,
        "customers": 2,
        "customers_hurt": 1,
        "customers_with_both_versions": 1,
        "testers_on_canary_percent": 50.0,
    }
    here = met((1, "stable", False, False), (9, "canary", False, True))
    shown = [list(column.cells) for column in table(there, here).columns]
    assert ("customers with a failure", "1 of 2", "0 of 1") in list(zip(*shown, strict=True))
    said = conclusion(there, here, 0.0031)
    assert "1 of 2 customers got both versions there, 0 here" in said
    assert "after 3.1 ms" in said


def test_nothing_has_no_share() -> None:
    facts = CustomerResults().facts()
    assert (facts["canary_percent"], facts["testers_on_canary_percent"]) == (0.0, 0.0)
