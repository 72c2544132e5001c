"""Digests of the config, stored so that the next process detects edits made in between. Pure.

A changed text for an unchanged config would count as an edit: rules and canaries set over the API would be replaced by
the file's, and a rollout would start over. The texts are therefore spelled out in literals, with keys and defaults of
their own, independent of today's attributes, keys and defaults of the config.
"""

import hashlib
import json
from typing import NamedTuple

from canaryproxy.config import Config
from canaryproxy.config.schema.health import HealthConfig
from canaryproxy.config.schema.outbound import UpstreamTlsConfig
from canaryproxy.config.schema.rollout import RolloutConfig, steps_text
from canaryproxy.config.schema.route import RouteConfig, VersionConfig
from canaryproxy.config.schema.rules import RuleConfig
from canaryproxy.config.stored_form import dump_rules
from canaryproxy.config.types.address import Origin
from canaryproxy.config.types.quantity import duration_text
from canaryproxy.config.types.rule import statuses_text
from canaryproxy.model.document import Document

# The known keys of `heard_of`; any other was stored by a later version.
HEARD = frozenset(("canary", "stable", "plan", "analysis", "removed"))

# The default of a health check's statuses, left out of the text. Written as two ranges, they have a text.
ANY_BUT_ERRORS = ((200, 399),)


class Fingerprint(NamedTuple):
    """Digests of a route's rules and of its canary, each empty where the file has none."""

    rules: str
    canary: str


def fingerprints(config: Config) -> dict[str, Fingerprint]:
    """The fingerprint of every route. Slow: call it in a thread."""
    return {name: fingerprint(route) for name, route in config.routes.items()}


def fingerprint(route: RouteConfig) -> Fingerprint:
    """Equal for routes whose rules and canary are written alike; the content of referenced files does not count."""
    return Fingerprint(rules_digest(route.rules), canary_digest(route.canary))


def rules_digest(rules: tuple[RuleConfig, ...]) -> str:
    """Equal for equal rules."""
    return hashlib.sha256(json.dumps(dump_rules(rules)).encode()).hexdigest() if rules else ""


def canary_digest(canary: VersionConfig | None) -> str:
    """Equal for canaries that are written alike."""
    if canary is None:
        return ""
    return hashlib.sha256(json.dumps(_version(canary), sort_keys=True).encode()).hexdigest()


def _without_defaults(**found: tuple[object, object]) -> Document:
    """The values of (value, default) pairs that are not the default. Defaults are those of the stored form."""
    return {key: value for key, (value, default) in found.items() if value != default}


def _version(version: VersionConfig) -> Document:
    return _without_defaults(
        url=(_origin(version.url), None),
        endpoints=([_origin(one) for one in version.endpoints], []),
        connect_timeout=(duration_text(version.connect_timeout), "1s"),
        response_timeout=(duration_text(version.response_timeout), "30s"),
        keep_alive=(duration_text(version.keep_alive), "4s"),
        version=(version.version, ""),
        health=(None if version.health is None else _health(version.health), None),
        max_in_flight=(version.max_in_flight, None),
        tls=(None if version.tls is None else _tls(version.tls), None),
    )


def _health(health: HealthConfig) -> Document:
    return _without_defaults(
        path=(health.path, None),
        host=(health.host, None),
        port=(health.port, None),
        scheme=(health.scheme, None),
        headers=({name: str(value) for name, value in health.headers.items()}, {}),
        status=(None if health.status == ANY_BUT_ERRORS else _statuses(health), None),
        interval=(duration_text(health.interval), "2s"),
        timeout=(duration_text(health.timeout), "1s"),
        unhealthy=(health.unhealthy, 3),
        healthy=(health.healthy, 1),
        version_header=(health.version_header, None),
    )


def _tls(tls: UpstreamTlsConfig) -> Document:
    return _without_defaults(
        ca=(None if tls.ca is None else str(tls.ca.path), None),
        server_name=(tls.server_name, None),
        cert=(None if tls.cert is None else str(tls.cert.path), None),
        key=(None if tls.key is None else str(tls.key.path), None),
    )


def _origin(origin: Origin | None) -> str | None:
    return None if origin is None else f"{origin.scheme}://{origin.authority}"


def _statuses(health: HealthConfig) -> str | list[str]:
    """One range as a text, several as a list."""
    text = statuses_text(health.status)
    return text[1:-1].split(", ") if text.startswith("[") else text


def heard_of(route: RouteConfig) -> dict[str, str]:
    """Texts of the config that are stored beside the digests: only what a rollout in progress has to follow."""
    return {
        "canary": "" if route.canary is None else _named(route.canary),
        "stable": _origins(route.stable),
        "plan": _plan(route.rollout),
        "analysis": "off" if route.analysis is None else "on",
    }


def _origins(version: VersionConfig) -> str:
    return " ".join(f"{one.scheme}://{one.authority}" for one in version.origins)


def _named(canary: VersionConfig) -> str:
    return f"{_origins(canary)} {canary.version}".strip()


def _plan(rollout: RolloutConfig) -> str:
    if isinstance(rollout.steps, tuple):
        dwells = [rollout.every if step.dwell is None else step.dwell for step in rollout.steps]
        pairs = zip(rollout.steps, dwells, strict=True)
        parts = [f"{step.weight / 100:g} for {dwell:g}{' hold' if step.hold else ''}" for step, dwell in pairs]
    else:
        parts = [f"{steps_text(rollout.steps)} for {rollout.every:g}"]
    timeout = "auto" if rollout.step_timeout is None else f"{rollout.step_timeout:g}"
    return f"{', '.join(parts)}; timeout {timeout}"
