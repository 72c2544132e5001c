"""Evidence is about one canary, judged in one way, and an upgrade does not make it another."""

import json
from pathlib import Path

import pytest

from canaryproxy.config import parse
from canaryproxy.control.evidence import identity

PLAIN = "{stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2'}"
FULL = (
    "{stable: 'http://127.0.0.1:1', affinity: {cookie: a, max_age: 1h}, goals: [{name: c, header: x-v}], canary: "
    "{endpoints: ['https://127.0.0.1:2'], health: {path: /h}, tls: {server_name: a.b}}, analysis: {resources: "
    "[{name: cpu, counter: a_total}], checks: [{name: q, url: 'http://x/y', field: /a, max: 1}], errors: {max: 3%}}}"
)


def of(route: str) -> str:
    return identity(parse(f"routes: {{shop: {route}}}", "f", {}).routes["shop"])


@pytest.mark.parametrize(
    ("route", "digest"),
    [
        (PLAIN, "34b1a659157192a7eed073bb105a2ac766973fa7b5e752eb5fdfaabfc9da6b0d"),
        (FULL, "bffec18dc8e83c4ffaa38b40924fc57f3f1fb20e13a450bb3de96f0e19a5d99e"),
        (
            "{stable: 'http://127.0.0.1:1', canary: 'http://127.0.0.1:2', analysis: off}",
            "9247b9e2f3103633b12f357b253de2b55a3512fa4a7866112204331e52eca7f9",
        ),
    ],
)
def test_it_is_the_digest_that_commit_64e2905_stored(route: str, digest: str) -> None:
    assert of(route) == digest


def test_the_golden_states_hold_it_too() -> None:
    golden = Path(__file__).parents[1] / "data" / "state" / "64e2905"
    route = parse((golden / "progressing.yaml").read_text(), "f", {}).routes["shop"]
    assert json.dumps({"of": identity(route)})[1:-1] in (golden / "progressing.sql").read_text()


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace(":2", ":3"),
        PLAIN.replace("}", ", affinity: cookie}"),
        PLAIN.replace("}", ", analysis: off}"),
        PLAIN.replace("}", ", analysis: {min_requests: 7}}"),
        PLAIN.replace("}", ", analysis: {errors: {tolerance: 20%}}}"),
        "{stable: 'http://127.0.0.1:1', canary: {url: 'http://127.0.0.1:2', keep_alive: 5s}}",
    ],
)
def test_it_is_another_where_evidence_would_be_about_something_else(other: str) -> None:
    assert of(other) != of(PLAIN)


def test_what_concerns_stable_or_the_plan_alone_is_not_part_of_it() -> None:
    assert of(PLAIN.replace(":1", ":9")) == of(PLAIN)
    assert of(PLAIN.replace("}", ", rollout: {every: 7s}}")) == of(PLAIN)
