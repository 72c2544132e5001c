"""An upgrade is no edit: what is stored of the config is the same text in every version."""

import json
import shutil
from pathlib import Path

import pytest

from canaryproxy.config import parse
from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.config.schema.route import RouteConfig
from canaryproxy.control.config_edits import compare, follow
from canaryproxy.control.fingerprint import canary_digest, fingerprint, fingerprints, heard_of, rules_digest
from canaryproxy.control.state import RouteState
from canaryproxy.rollout.plan import Plan
from canaryproxy.rollout.state import RolloutEvent
from tests.support.authority import Authority
from tests.support.stored import RULES

HEALTH = (
    "{path: /h, host: 'shop.example.com', port: 8081, scheme: http, headers: {x-key: secret}, status: [200, 204, 300-399], "
    "interval: 5s, timeout: 500ms, unhealthy: 2, healthy: 2, version_header: X-Version}"
)
STORED_BY_D8FB47B = [
    ("http://b", "82a0a0e44b170021f694d9291166ac1bc240805ec8bfb1ece2663890ee98a97b"),
    (
        "{url: 'http://[::1]:8080', connect_timeout: 1500ms, response_timeout: 2m, keep_alive: 55s, version: v42, "
        "max_in_flight: 1000}",
        "4ece70241b764b20c1396d86f8ae5d9ffd28d20da9abd0ae272bb6afa7fee732",
    ),
    (
        "{url: 'http://b', connect_timeout: 1s, response_timeout: 30s, keep_alive: 4s}",
        "82a0a0e44b170021f694d9291166ac1bc240805ec8bfb1ece2663890ee98a97b",
    ),
    (
        "{endpoints: ['http://10.0.0.1:8080', 'http://10.0.0.2'], health: {path: /h}}",
        "29956e2048d4be8a938dd544e8bff09b81b390dae215d98bc8ab8b5be1ab947f",
    ),
    (f"{{url: 'https://b', health: {HEALTH}}}", "2b8e2c2fad2120f8b89586470fe74d38ba704d9c99b77972befecef8b4046856"),
    (
        "{url: 'http://b', health: {path: /h, status: 204}}",
        "ee5d0b1b75ada931e99ccb6cdb944bcc30af31911ac011a888dc55d9cc74fc42",
    ),
    (
        "{url: 'http://b', health: {path: /h, status: [2xx, 3xx], unhealthy: 3}}",
        "5ec86ad6edbd5d13b3a3610e641562adf71a67ccedfe31317990a5fb06743b37",
    ),
    (
        "{url: 'https://b', tls: {ca: ca.pem, server_name: shop.internal}}",
        "e6c5208efe1335f61ac4b2e1de28df95ced48b556165dc05efc90d6e5465371c",
    ),
    ("{url: 'https://b', tls: {}}", "d5b1af89266f7e5bbba2fa791f08a5c2271398761677aa07547204f71bb2f940"),
]


@pytest.fixture(autouse=True)
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of authorities at a path that says nothing of the machine."""
    shutil.copy(Authority().write_ca(tmp_path), tmp_path / "ca.pem")
    monkeypatch.chdir(tmp_path)


def route(more: str = "", canary: str = "http://b") -> RouteConfig:
    return parse(f"stable: http://a\ncanary: {canary}\n{more}", "f", {}).routes["default"]


@pytest.mark.parametrize(("canary", "digest"), STORED_BY_D8FB47B)
def test_the_digest_of_a_canary_is_the_one_that_d8fb47b_stored(canary: str, digest: str) -> None:
    assert fingerprint(route(canary=canary)).canary == canary_digest(route(canary=canary).canary) == digest


def test_the_digest_of_rules_is_the_one_that_d8fb47b_stored() -> None:
    rules = rules_from_written(RULES)
    assert rules_digest(rules) == "a9204f117cd7ff42dbf4b119db69e5ca1b75105b5b584b5ed1dc0973c59d0c75"
    assert fingerprint(route(f"rules: {json.dumps(RULES)}\n")).rules == rules_digest(rules)


def test_without_rules_or_a_canary_they_are_empty() -> None:
    plain = parse("stable: http://a\n", "f", {})
    assert fingerprints(plain) == {"default": ("", "")}


@pytest.mark.parametrize(
    ("rollout", "plan"),
    [
        ("{}", "1 for 60, 5 for 60, 25 for 60, 50 for 60, 100 for 60; timeout auto"),
        (
            "{steps: [{weight: 20, hold: true}, {weight: 50, for: 90s}, 100], every: 1h, step_timeout: 3s}",
            "20 for 3600 hold, 50 for 90, 100 for 3600; timeout 3",
        ),
        ("{steps: auto}", "auto for 60; timeout auto"),
        ("{steps: {from: 10, to: 50, by: 20}, every: 30s}", "{from: 10, to: 50, by: 20} for 30; timeout auto"),
        ("{steps: {curve: exponential, count: 5}}", "{curve: exponential, count: 5} for 60; timeout auto"),
    ],
)
def test_what_is_heard_of_a_plan_is_what_d8fb47b_heard(rollout: str, plan: str) -> None:
    assert heard_of(route(f"rollout: {rollout}\n")) == {
        "canary": "http://b:80",
        "stable": "http://a:80",
        "plan": plan,
        "analysis": "on",
    }


def test_what_is_heard_of_a_canary_is_where_it_is_and_its_version() -> None:
    assert heard_of(route(canary="{url: 'http://[::1]:8080', version: v42}"))["canary"] == "http://[::1]:8080 v42"
    two = "{endpoints: ['http://10.0.0.1:8080', 'http://10.0.0.2']}"
    assert heard_of(route(canary=two))["canary"] == "http://10.0.0.1:8080 http://10.0.0.2:80"
    plain = parse("stable: http://a\nanalysis: off\n", "f", {}).routes["default"]
    assert (heard_of(plain)["canary"], heard_of(plain)["analysis"]) == ("", "off")


def test_what_a_later_version_has_heard_beside_is_kept_through_an_edit() -> None:
    config = parse("stable: http://a\ncanary: http://b\n", "f", {})
    before = RouteState(500, "file", 500, "", heard={**heard_of(config.routes["default"]), "schedule": "nights"})
    after = follow(before, compare(None, config)["default"], lambda: Plan(()), 5.0, RolloutEvent("changed")).state
    assert after.heard["schedule"] == "nights"
    edited = parse("stable: http://c\ncanary: http://b\n", "f", {})
    after = follow(before, compare(config, edited)["default"], lambda: Plan(()), 5.0, RolloutEvent("changed")).state
    assert (after.heard["schedule"], after.heard["stable"]) == ("nights", "http://c:80")
