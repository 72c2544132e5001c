"""The state of one route as JSON, written and read by this version, an older or a later one. Pure.

To add a field: give it a default in `RouteState`, and name it in `dump_route` and `load_route` with that default. `V`
stays as it is, unless an older reader would act wrongly by ignoring it (docs/decisions/0013-stored-state.md).
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from canaryproxy.config.stored_form import dump_canary, dump_rules, load_canary, load_rules
from canaryproxy.control.fingerprint import HEARD
from canaryproxy.control.state import RouteState, Source
from canaryproxy.model.document import VERSION, items, mapping, text, unknown, version_of, whole
from canaryproxy.model.table import FULL_WEIGHT
from canaryproxy.rollout import codec as rollouts
from canaryproxy.rollout.state import Rollout

# 0 is the form of commit 64e2905: the same fields without `v`.
V = 1

# Stored name of the source of a weight -> name in the code.
SOURCES: Mapping[str, Source] = {"file": "file", "api": "api", "rollout": "rollout"}

STORED_SOURCES = {source: stored for stored, source in SOURCES.items()}


def write_state(state: RouteState) -> str:
    """The state of one route as JSON."""
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
        "weight_source": STORED_SOURCES[state.weight_source],
        "file_weight": state.file_weight,
        "file_rules": state.file_rules,
        "rules": None if state.rules is None else dump_rules(state.rules.rules),
        "latched": state.latched,
        "rollout": rollouts.dump(state.rollout),
        "past": [rollouts.dump_record(one) for one in state.past],
        "waiting": state.waiting,
        "heard": dict(state.heard),
        "canary": None if state.canary is None else dump_canary(state.canary),
        "file_canary": state.file_canary,
        "file_route": state.file_route,
        "revision": state.revision,
    }


KNOWN = frozenset(dump_route(RouteState(0, "file", 0, "")))


def load_route(data: Mapping[str, Any]) -> RouteState:
    """The state of `dump_route`. The weights, their source and the latch are required.

    Raises `TooNewError` for a document of a later version that this version must not act on, and `ValueError`,
    `KeyError` or `TypeError` for anything else that is not the state of a route.
    """
    version_of(data, V, "a route")
    return RouteState(
        weight=_weight(data["weight"]),
        weight_source=_source(data["weight_source"]),
        file_weight=_weight(data["file_weight"]),
        file_rules=text(data["file_rules"]),
        rules=None if data.get("rules") is None else load_rules(data["rules"]),
        latched=text(data["latched"]),
        rollout=rollouts.load(mapping(data["rollout"])) if "rollout" in data else Rollout(),
        past=tuple(rollouts.load_record(mapping(one)) for one in items(data.get("past", []))),
        waiting=None if data.get("waiting") is None else _weight(data["waiting"]),
        # Keys of a later version are kept, whatever their values are.
        heard={key: text(one) if key in HEARD else one for key, one in mapping(data.get("heard", {})).items()},
        canary=None if data.get("canary") is None else load_canary(text(data["canary"])),
        file_canary=None if data.get("file_canary") is None else text(data["file_canary"]),
        file_route=text(data.get("file_route", "")),
        revision=whole(data.get("revision", 0)),
        extra=unknown(data, KNOWN),
    )


def _source(value: object) -> Source:
    if text(value) not in SOURCES:
        raise ValueError(f"{value!r} is no source of a weight")
    return SOURCES[text(value)]


def _weight(value: object) -> int:
    if whole(value) > FULL_WEIGHT:
        raise ValueError(f"{value!r} is no weight")
    return cast("int", value)
