"""Both ways side by side, as a user starts them."""

import json
import subprocess
import sys

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
    assert "PUT weight 0 was true for every worker" in said
