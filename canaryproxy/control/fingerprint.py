"""What is stored of the config, so that the next process knows what was edited while there was none. Pure.

Another text for the same config would be an edit without an editor: rules and canaries that the API set would give way
to the file's, and a rollout would start over. So the texts are spelled out here in literals, with keys and defaults of
their own, whatever attributes, keys and defaults the config has today.
"""

import hashlib
import json
from collections.abc import Mapping
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
from canaryproxy.model.document import Document, unknown

HEARD = frozenset(("canary", "stable", "plan", "analysis", "removed"))
"""Keys of what was heard of a route; any other is a later version's."""

VERSION_DEFAULTS: Document = {
    "url": None,
    "endpoints": [],
    "connect_timeout": "1s",
    "response_timeout": "30s",
    "keep_alive": "4s",
    "version": "",
    "health": None,
    "max_in_flight": None,
    "tls": None,
}
HEALTH_DEFAULTS: Document = {
    "host": None,
    "port": None,
    "scheme": None,
    "headers": {},
    "status": None,
    "interval": "2s",
    "timeout": "1s",
    "unhealthy": 3,
    "healthy": 1,
    "version_header": None,
}
ANY_BUT_ERRORS = ((200, 399),)
"""Statuses of health checks for which none is digested. They have their own text where they are written as two
ranges.
"""

TLS_DEFAULTS = {"ca": None, "server_name": None, "cert": None, "key": None}
"""What is left out of the text that is digested: the defaults of the form, not those of the config."""


class Fingerprint(NamedTuple):
    """Digests of a route's rules and of its canary, each empty where the file has none."""

    rules: str
    canary: str


def fingerprints(config: Config) -> dict[str, Fingerprint]:
    """Of every route. Takes its time."""
    return {name: fingerprint(route) for name, route in config.routes.items()}


def fingerprint(route: RouteConfig) -> Fingerprint:
    """Equal for routes whose rules and canary are written alike, whatever is in the files that they name."""
    return Fingerprint(rules_digest(route.rules), canary_digest(route.canary))


def rules_digest(rules: tuple[RuleConfig, ...]) -> str:
    """Equal for rules that say the same."""
    return hashlib.sha256(json.dumps(dump_rules(rules)).encode()).hexdigest() if rules else ""


def canary_digest(canary: VersionConfig | None) -> str:
    """Equal for canaries that are written alike."""
    if canary is None:
        return ""
    return hashlib.sha256(json.dumps(_version(canary), sort_keys=True).encode()).hexdigest()


def _without(found: Document, defaults: Mapping[str, object]) -> Document:
    return {key: value for key, value in found.items() if key not in defaults or value != defaults[key]}


def _version(version: VersionConfig) -> Document:
    found: Document = {
        "url": _origin(version.url),
        "endpoints": [_origin(one) for one in version.endpoints],
        "connect_timeout": duration_text(version.connect_timeout),
        "response_timeout": duration_text(version.response_timeout),
        "keep_alive": duration_text(version.keep_alive),
        "version": version.version,
        "health": None if version.health is None else _health(version.health),
        "max_in_flight": version.max_in_flight,
        "tls": None if version.tls is None else _tls(version.tls),
    }
    return _without(found, VERSION_DEFAULTS)


def _health(health: HealthConfig) -> Document:
    found: Document = {
        "path": health.path,
        "host": health.host,
        "port": health.port,
        "scheme": health.scheme,
        "headers": {name: str(value) for name, value in health.headers.items()},
        "status": None if health.status == ANY_BUT_ERRORS else _statuses(health),
        "interval": duration_text(health.interval),
        "timeout": duration_text(health.timeout),
        "unhealthy": health.unhealthy,
        "healthy": health.healthy,
        "version_header": health.version_header,
    }
    return _without(found, HEALTH_DEFAULTS)


def _tls(tls: UpstreamTlsConfig) -> Document:
    found: Document = {
        "ca": None if tls.ca is None else str(tls.ca.path),
        "server_name": tls.server_name,
        "cert": None if tls.cert is None else str(tls.cert.path),
        "key": None if tls.key is None else str(tls.key.path),
    }
    return _without(found, TLS_DEFAULTS)


def _origin(origin: Origin | None) -> str | None:
    return None if origin is None else f"{origin.scheme}://{origin.authority}"


def _statuses(health: HealthConfig) -> str | list[str]:
    """One range as a text, several as a list."""
    text = statuses_text(health.status)
    return text[1:-1].split(", ") if text.startswith("[") else text


def heard_of(route: RouteConfig) -> dict[str, str]:
    """What is kept of a config beside the digests: only what a rollout under way has to follow."""
    return {
        "canary": "" if route.canary is None else _named(route.canary),
        "stable": _origins(route.stable),
        "plan": _plan(route.rollout),
        "analysis": "off" if route.analysis is None else "on",
    }


def heard_later(heard: Mapping[str, str]) -> Document:
    """What a later version has heard of a route beside that."""
    return unknown(heard, HEARD)


def _origins(version: VersionConfig) -> str:
    return " ".join(f"{one.scheme}://{one.authority}" for one in version.origins)


def _named(canary: VersionConfig) -> str:
    return f"{_origins(canary)} {canary.version}".strip()


def _plan(rollout: RolloutConfig) -> str:
    if isinstance(rollout.steps, tuple):
        dwells = [rollout.every if step.dwell is None else step.dwell for step in rollout.steps]
        parts = [
            f"{step.weight / 100:g} for {dwell:g}{' hold' if step.hold else ''}"
            for step, dwell in zip(rollout.steps, dwells, strict=True)
        ]
    else:
        parts = [f"{steps_text(rollout.steps)} for {rollout.every:g}"]
    timeout = "auto" if rollout.step_timeout is None else f"{rollout.step_timeout:g}"
    return f"{', '.join(parts)}; timeout {timeout}"
