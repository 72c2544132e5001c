"""One route's state as JSON, and read again by this version, an older or a later one. Pure.

To add a field: give `RouteState` a default, and name it in `dump_route` and `load_route` with that default. `V` stays
what it is, unless an older reader would act wrongly by ignoring it (docs/decisions/0013-stored-state.md).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from canaryproxy.config.canary import CanarySet, unknown_keys
from canaryproxy.config.rule import KINDS
from canaryproxy.config.rules import RuleConfig, RuleSet
from canaryproxy.config.rules_document import rules_from_written
from canaryproxy.config.written import rule_as_written
from canaryproxy.control.state import RouteState, Source
from canaryproxy.model.document import VERSION, TooNewError, items, mapping, text, unknown, version_of, whole
from canaryproxy.model.table import WEIGHT_SCALE
from canaryproxy.rollout import codec as rollouts
from canaryproxy.rollout.state import Rollout

V = 1
"""0 is the form of commit 64e2905: the same fields without `v`."""

SOURCES = ("file", "api", "rollout")

RULE_KEYS = frozenset(RuleConfig.model_fields)


def write_state(state: RouteState) -> str:
    """One route's state as JSON."""
    return json.dumps(dump_route(state))


def read_state(document: str) -> RouteState:
    """The state of `write_state`. Raises as `load_route` does."""
    return load_route(mapping(json.loads(document)))


def dump_route(state: RouteState) -> dict[str, Any]:
    """Plain data, for JSON."""
    return {
        **state.extra,
        VERSION: V,
        "weight": state.weight,
        "weight_source": state.weight_source,
        "file_weight": state.file_weight,
        "file_rules": state.file_rules,
        "rules": None if state.rules is None else [rule_as_written(rule) for rule in state.rules.rules],
        "latched": state.latched,
        "rollout": rollouts.dump(state.rollout),
        "past": [rollouts.dump_record(one) for one in state.past],
        "waiting": state.waiting,
        "heard": dict(state.heard),
        "canary": None if state.canary is None else state.canary.written,
        "file_canary": state.file_canary,
    }


KNOWN = frozenset(dump_route(RouteState(0, "file", 0, "")))


def load_route(data: Mapping[str, Any]) -> RouteState:
    """What `dump_route` gave. Without its weights, who said them, and whether it is latched it is no route's state.

    Raises `TooNewError` for what a later version wrote and this one must not act on; `ValueError`, `KeyError` or
    `TypeError` for anything else that is no route's state.
    """
    version_of(data, V, "a route")
    source = data["weight_source"]
    if source not in SOURCES:
        raise ValueError(f"{source!r} has never set a weight")
    return RouteState(
        weight=_weight(data["weight"]),
        weight_source=cast("Source", source),
        file_weight=_weight(data["file_weight"]),
        file_rules=text(data["file_rules"]),
        rules=_rules(data.get("rules")),
        latched=text(data["latched"]),
        rollout=rollouts.load(mapping(data["rollout"])) if "rollout" in data else Rollout(),
        past=tuple(rollouts.load_record(mapping(one)) for one in items(data.get("past", []))),
        waiting=None if data.get("waiting") is None else _weight(data["waiting"]),
        heard={text(key): text(one) for key, one in mapping(data.get("heard", {})).items()},
        canary=_canary(data.get("canary")),
        file_canary=_text_or_none(data.get("file_canary")),
        extra=unknown(data, KNOWN),
    )


def _weight(value: object) -> int:
    if whole(value) > WEIGHT_SCALE:
        raise ValueError(f"{value!r} is no weight")
    return cast("int", value)


def _text_or_none(value: object) -> str | None:
    return None if value is None else text(value)


def _canary(written: object) -> CanarySet | None:
    """One with a key that this version does not know may be meant otherwise: it is not used. One whose files cannot be
    read says so itself.
    """
    if written is None:
        return None
    for name in unknown_keys(text(written)):
        raise TooNewError(f"a canary has {name!r}, which this canaryproxy does not know")
    return CanarySet.kept(text(written))


def _rules(written: object) -> RuleSet | None:
    """A rule with a condition that this version does not know would match more than it should: it is not used."""
    if written is None:
        return None
    for rule in written if isinstance(written, list) else ():
        for name in _unknown_in(rule):
            raise TooNewError(f"a rule has {name!r}, which this canaryproxy does not know")
    return RuleSet(rules_from_written(written))


def _unknown_in(rule: object) -> Iterator[str]:
    if not isinstance(rule, dict):
        return
    yield from (name for name in rule if name not in RULE_KEYS)
    compared = [rule.get("path")]
    for key in ("headers", "cookies", "query"):
        named = rule.get(key)
        compared += named.values() if isinstance(named, dict) else ()
    for matcher in compared:
        yield from (kind for kind in matcher if kind not in KINDS) if isinstance(matcher, dict) else ()
