"""Rules and canaries of the API are stored under keys of their own, whatever the config calls them."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given

from canaryproxy.config.canary_document import NO_CANARY, CanaryDocument, canary_set
from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.config.schema.health import HealthConfig
from canaryproxy.config.schema.outbound import UpstreamTlsConfig
from canaryproxy.config.schema.route import VersionConfig
from canaryproxy.config.schema.rules import RuleConfig
from canaryproxy.config.stored_form import (
    CANARY,
    HEALTH,
    MATCHER,
    RULE,
    TLS,
    StoredForm,
    dump_canary,
    dump_rules,
    inverse,
    load_canary,
    load_rules,
    renamed,
)
from canaryproxy.model.document import TooNewError
from canaryproxy.model.rule import Kind
from tests.config.test_canary_document import WRITTEN
from tests.config.test_rules_document import RULES
from tests.support.stored import RULES as EVERY_KIND

NOW = StoredForm({"old": "new", "parts": "pieces"}, {"parts": StoredForm({"a": "b"}, each=True)})
"""A form whose config has been renamed since."""


@given(RULES)
def test_a_rule_is_read_as_it_was_stored(written: dict[str, object]) -> None:
    rules = rules_from_written([written])
    assert load_rules(json.loads(json.dumps(dump_rules(rules)))).rules == rules


def test_the_stored_form_of_a_rule_is_what_the_user_wrote_of_it() -> None:
    assert dump_rules(rules_from_written(EVERY_KIND)) == EVERY_KIND


def test_all_items_of_a_list_are_stored_and_one_stands_for_itself() -> None:
    several = {"name": "a", "headers": {"x-a": {"item": ["de", "fr"]}, "x-b": {"item": "staff"}}, "to": "canary"}
    assert dump_rules(rules_from_written([several])) == [several]
    assert load_rules([several]).rules[0].headers["x-a"].values == ("de", "fr")


@given(WRITTEN)
def test_a_canary_is_stored_as_it_was_sent(written: object) -> None:
    canary = canary_set(written)
    assert dump_canary(canary) == canary.written
    assert (load_canary(dump_canary(canary)), load_canary(dump_canary(canary)).version) == (canary, canary.version)


def test_that_there_is_to_be_none_is_stored_too() -> None:
    assert (dump_canary(NO_CANARY), load_canary("")) == ("", NO_CANARY)


def test_a_canary_whose_file_is_gone_is_stored_on(tmp_path: Path) -> None:
    text = json.dumps({"url": "https://a", "tls": {"ca": str(tmp_path / "ca.pem"), "server_name": "b"}})
    lost = load_canary(text)
    assert (lost.version, dump_canary(lost)) == (None, text)
    assert "tls.ca: this file cannot be read" in lost.problem


def test_stored_keys_stay_when_those_of_the_config_are_renamed() -> None:
    stored = {"parts": {"x": {"a": {"a": 1}}, "y": "text"}, "old": [{"a": 1}]}
    written = {"pieces": {"x": {"b": {"a": 1}}, "y": "text"}, "new": [{"a": 1}]}
    assert renamed(stored, NOW, "it") == written
    assert json.dumps(renamed(written, inverse(NOW), "it")) == json.dumps(stored)
    assert inverse(inverse(NOW)) == NOW


@pytest.mark.parametrize(
    ("form", "section"),
    [(CANARY, VersionConfig), (HEALTH, HealthConfig), (TLS, UpstreamTlsConfig), (RULE, RuleConfig)],
)
def test_every_key_of_the_config_has_a_stored_one(form: StoredForm, section: Any) -> None:
    assert set(form.keys.values()) == set(section.model_fields)
    assert len(set(form.keys.values())) == len(form.keys)


def test_every_kind_of_comparison_has_a_stored_key() -> None:
    assert set(MATCHER.values()) == set(get_args(Kind))


@pytest.mark.parametrize(
    "later",
    [
        {"name": "a", "weekday": "monday", "to": "canary"},
        {"name": "a", "path": {"glob": "*"}, "to": "canary"},
        {"name": "a", "headers": {"x-a": {"suffix": "b"}}, "to": "canary"},
    ],
)
def test_a_rule_of_a_later_version_is_too_new(later: dict[str, object]) -> None:
    with pytest.raises(TooNewError, match="a rule has"):
        load_rules([later])


@pytest.mark.parametrize(
    "later",
    [
        {"shape": 1},
        {"health": {"path": "/", "depth": 2}},
        {"tls": {"alpn": "h2"}},
        {"health": {"path": "/", "headers": {"x-a": {"file": "f", "encoding": "hex"}}}},
    ],
)
def test_a_canary_of_a_later_version_is_too_new(later: dict[str, object]) -> None:
    with pytest.raises(TooNewError, match="a canary has"):
        load_canary(json.dumps({"url": "http://a", **later}))


@pytest.mark.parametrize("wrong", [3, None, {}, [3], ["a"], [{"name": "a"}], [{"name": "a", "to": "c"}, 5]])
def test_what_is_no_list_of_rules_is_refused(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        load_rules(wrong)


def test_what_is_no_version_says_so_itself() -> None:
    assert isinstance(load_canary("5"), CanaryDocument)
    assert load_canary("5").version is None
    with pytest.raises(ValueError, match="Expecting"):
        load_canary("{")
