"""The identity of evidence: the canary, how its users are distinguished, and how it is judged. Pure.

Evidence is valid only for the canary it was gathered from, so this digest is stored beside it. The digested text is
that of commit 64e2905, spelled out in literals: evidence survives upgrades, and a rename does not invalidate it. Fields
added later are left out. If another value of a later field invalidates evidence, append the field where its value is
not the default.
"""

import hashlib
from collections.abc import Iterable, Mapping

from canaryproxy.analysis.spec import (
    AnalysisSpec,
    ClientErrors,
    ErrorSpec,
    ExternalSpec,
    FixedLimits,
    GoalSpec,
    HardLimitSpec,
    LatencySpec,
    ResourceSpec,
)
from canaryproxy.config.schema.health import HealthConfig
from canaryproxy.config.schema.outbound import UpstreamTlsConfig
from canaryproxy.config.schema.route import RouteConfig, VersionConfig
from canaryproxy.config.types.address import Origin
from canaryproxy.config.types.certificate import PemFile
from canaryproxy.model.table import Affinity


def identity(route: RouteConfig) -> str:
    """Equal for routes whose evidence is about the same."""
    text = f"({_version(route.canary)}, {_affinity(route.affinity)}, {_spec(route.spec)})"
    return hashlib.sha256(text.encode()).hexdigest()


def _spelled(kind: str, values: Mapping[str, str]) -> str:
    """An object with its fields in order."""
    return f"{kind}({', '.join(f'{name}={value}' for name, value in values.items())})"


def _tuple(items: Iterable[str]) -> str:
    found = list(items)
    return f"({', '.join(found)}{',' if len(found) == 1 else ''})"


def _version(side: VersionConfig | None) -> str:
    if side is None:
        return "None"
    return _spelled(
        "VersionConfig",
        {
            "url": _origin(side.url),
            "endpoints": _tuple(map(_origin, side.endpoints)),
            "connect_timeout": repr(side.connect_timeout),
            "response_timeout": repr(side.response_timeout),
            "keep_alive": repr(side.keep_alive),
            "health": _health(side.health),
            "max_in_flight": repr(side.max_in_flight),
            "tls": _tls(side.tls),
        },
    )


def _origin(origin: Origin | None) -> str:
    if origin is None:
        return "None"
    return _spelled("Origin", {"scheme": repr(origin.scheme), "host": repr(origin.host), "port": repr(origin.port)})


def _health(health: HealthConfig | None) -> str:
    if health is None:
        return "None"
    return _spelled(
        "HealthConfig",
        {
            "path": repr(health.path),
            "interval": repr(health.interval),
            "timeout": repr(health.timeout),
            "unhealthy": repr(health.unhealthy),
            "healthy": repr(health.healthy),
            "version_header": repr(health.version_header),
        },
    )


def _tls(tls: UpstreamTlsConfig | None) -> str:
    if tls is None:
        return "None"
    return _spelled(
        "UpstreamTlsConfig",
        {"ca": _pem(tls.ca), "server_name": repr(tls.server_name), "cert": _pem(tls.cert), "key": _pem(tls.key)},
    )


def _pem(file: PemFile | None) -> str:
    """A file by its path, whatever is in it."""
    if file is None:
        return "None"
    return _spelled("PemFile", {"path": f"PosixPath({file.path.as_posix()!r})"})


def _affinity(affinity: Affinity | None) -> str:
    if affinity is None:
        return "None"
    return _spelled(
        "Affinity", {"by": repr(affinity.by), "name": repr(affinity.name), "max_age": repr(affinity.max_age)}
    )


def _spec(spec: AnalysisSpec | None) -> str:
    if spec is None:
        return "None"
    return _spelled(
        "Spec",
        {
            "confidence": repr(spec.confidence),
            "unit": repr(spec.unit),
            "errors": _errors(spec.errors),
            "latency": _latency(spec.latency),
            "refusals": _refusals(spec.client_errors),
            "goals": _tuple(map(_goal, spec.goals)),
            "resources": _tuple(map(_resource, spec.resources)),
            "externals": _tuple(map(_external, spec.externals)),
            "limits": _hard_limit(spec.limits),
            "min_requests": repr(spec.min_requests),
            "warmup": repr(spec.warmup),
            "prove_above": repr(spec.prove_above),
            "dry_run": repr(spec.dry_run),
        },
    )


def _limits(limits: FixedLimits) -> str:
    return _spelled("Limits", {"most": repr(limits.max), "times": repr(limits.times)})


def _errors(errors: ErrorSpec | None) -> str:
    if errors is None:
        return "None"
    return _spelled(
        "Errors",
        {
            "tolerance": repr(errors.tolerance),
            "floor": repr(errors.floor),
            "statuses": repr(errors.statuses),
            "limits": _limits(errors.limits),
            "dry_run": repr(errors.dry_run),
        },
    )


def _latency(latency: LatencySpec | None) -> str:
    if latency is None:
        return "None"
    return _spelled(
        "Latency",
        {
            "tolerance": repr(latency.tolerance),
            "floor": repr(latency.floor),
            "q": repr(latency.q),
            "limits": _limits(latency.limits),
            "dry_run": repr(latency.dry_run),
        },
    )


def _refusals(refusals: ClientErrors | None) -> str:
    if refusals is None:
        return "None"
    return _spelled(
        "Refusals",
        {
            "tolerance": repr(refusals.tolerance),
            "floor": repr(refusals.floor),
            "on_harm": repr(refusals.on_failure),
            "dry_run": repr(refusals.dry_run),
        },
    )


def _goal(goal: GoalSpec) -> str:
    return _spelled(
        "GoalSpec",
        {
            "goal": repr(goal.goal),
            "tolerance": repr(goal.tolerance),
            "on_harm": repr(goal.on_failure),
            "valued": repr(goal.valued),
            "cap": repr(goal.cap),
            "dry_run": repr(goal.dry_run),
        },
    )


def _resource(one: ResourceSpec) -> str:
    return _spelled(
        "Resource",
        {
            "name": repr(one.name),
            "tolerance": repr(one.tolerance),
            "block": repr(one.block),
            "on_harm": repr(one.on_failure),
            "dry_run": repr(one.dry_run),
        },
    )


def _external(one: ExternalSpec) -> str:
    return _spelled(
        "External",
        {
            "name": repr(one.name),
            "most": repr(one.max),
            "least": repr(one.min),
            "times": repr(one.times),
            "failures": repr(one.failures),
            "on_harm": repr(one.on_failure),
            "dry_run": repr(one.dry_run),
        },
    )


def _hard_limit(limit: HardLimitSpec | None) -> str:
    if limit is None:
        return "None"
    return _spelled("HardLimit", {"error_rate": repr(limit.error_rate), "min_requests": repr(limit.min_requests)})
