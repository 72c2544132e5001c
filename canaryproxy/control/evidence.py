"""The stored form of a judge's evidence about a canary, and the identity of what it is about. Pure.

To add a field: give `Evidence` a default, and name it in `dump` and `load` with that default
(docs/decisions/0013-stored-state.md).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from canaryproxy.analysis import spec
from canaryproxy.analysis.snapshot_migration import readable
from canaryproxy.config.schema.health import HealthConfig
from canaryproxy.config.schema.outbound import UpstreamTlsConfig
from canaryproxy.config.schema.route import RouteConfig, VersionConfig
from canaryproxy.config.types.address import Origin
from canaryproxy.config.types.certificate import PemFile
from canaryproxy.model.document import VERSION, Document, mapping, number, text, unknown, version_of
from canaryproxy.model.table import Affinity

# 0 is the form of commit 64e2905: the same fields without `v`.
V = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """`at` is when it was written, in seconds since 1970; `of` is the `identity` of what it is about; `version` what
    the canary called itself; `step` when the step began, `lost` its seconds without supervision; `judge` the judge's
    snapshot. `extra` are unknown fields of a later version.
    """

    at: float
    of: str
    version: str
    step: float
    lost: float
    judge: Document
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


def dump(evidence: Evidence) -> str:
    """As JSON."""
    watched = {"at": evidence.at, "of": evidence.of, "version": evidence.version}
    rest = {"step": evidence.step, "lost": evidence.lost, "judge": evidence.judge}
    return json.dumps({**evidence.extra, VERSION: V, **watched, **rest})


KNOWN = frozenset(("v", "at", "of", "version", "step", "lost", "judge"))


def load(document: str) -> Evidence:
    """Parse the result of `dump`. Raises `TooNewError` for a document of a later version that this one must not use;
    `ValueError`, `KeyError` or `TypeError` for an invalid one.
    """
    data = mapping(json.loads(document))
    version_of(data, V, "evidence")
    judge = mapping(data["judge"])
    readable(judge)
    at, of, version = number(data["at"]), text(data["of"]), text(data.get("version", ""))
    step, lost = number(data["step"]), number(data.get("lost", 0.0))
    return Evidence(at, of, version, step, lost, judge, extra=unknown(data, KNOWN))


# The name of an object in the text, and its fields in order.
Form = tuple[str, dict[str, object]]


def identity(route: RouteConfig) -> str:
    """Equal for routes whose evidence is about the same: the canary, how its users are distinguished, how it is judged.

    The digested text is that of commit 64e2905, spelled out in literals: evidence survives upgrades and renames. Fields
    added later are left out, or appended where their value is not the default and makes older evidence invalid.
    """
    return hashlib.sha256(spelled((route.canary, route.affinity, route.spec)).encode()).hexdigest()


def spelled(value: object) -> str:
    """The text of a value that is digested, as `repr` was at that commit. A file counts by its path only."""
    if isinstance(value, PemFile):
        return f"PemFile(path=PosixPath({value.path.as_posix()!r}))"
    kind, found = _of_config(value) or _of_analysis(value) or ("", {})
    if kind:
        return f"{kind}({', '.join(f'{name}={spelled(one)}' for name, one in found.items())})"
    if isinstance(value, tuple):
        return f"({', '.join(map(spelled, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _of_config(value: object) -> Form | None:
    """The name of an object of the config in the text, and its fields in order."""
    result: Form | None = None
    match value:
        case VersionConfig() as one:
            waits = {"connect_timeout": one.connect_timeout, "response_timeout": one.response_timeout}
            rest = {"health": one.health, "max_in_flight": one.max_in_flight, "tls": one.tls}
            ends = {"url": one.url, "endpoints": one.endpoints}
            result = "VersionConfig", {**ends, **waits, "keep_alive": one.keep_alive, **rest}
        case HealthConfig() as one:
            often = {"interval": one.interval, "timeout": one.timeout}
            row = {"unhealthy": one.unhealthy, "healthy": one.healthy}
            result = "HealthConfig", {"path": one.path, **often, **row, "version_header": one.version_header}
        case UpstreamTlsConfig() as one:
            shown = {"cert": one.cert, "key": one.key}
            result = "UpstreamTlsConfig", {"ca": one.ca, "server_name": one.server_name, **shown}
        case Origin() as one:
            result = "Origin", {"scheme": one.scheme, "host": one.host, "port": one.port}
        case Affinity() as one:
            result = "Affinity", {"by": one.by, "name": one.name, "max_age": one.max_age}
    return result


def _of_analysis(value: object) -> Form | None:
    """The same of an object of the analysis."""
    result: Form | None = None
    found: dict[str, object]
    match value:
        case spec.AnalysisSpec() as one:
            compared = {"errors": one.errors, "latency": one.latency, "refusals": one.client_errors, "goals": one.goals}
            read = {"resources": one.resources, "externals": one.externals, "limits": one.limits}
            from_when = {"min_requests": one.min_requests, "warmup": one.warmup, "prove_above": one.prove_above}
            found = {"confidence": one.confidence, "unit": one.unit, **compared, **read, **from_when}
            result = "Spec", {**found, "dry_run": one.dry_run}
        case spec.FixedLimits() as one:
            result = "Limits", {"most": one.max, "times": one.times}
        case spec.ErrorSpec() as one:
            found = {"floor": one.floor, "statuses": one.statuses, "limits": one.limits, "dry_run": one.dry_run}
            result = "Errors", {"tolerance": one.tolerance, **found}
        case spec.LatencySpec() as one:
            found = {"floor": one.floor, "q": one.q, "limits": one.limits, "dry_run": one.dry_run}
            result = "Latency", {"tolerance": one.tolerance, **found}
        case spec.ClientErrors() as one:
            found = {"floor": one.floor, "on_harm": one.on_failure, "dry_run": one.dry_run}
            result = "Refusals", {"tolerance": one.tolerance, **found}
        case spec.GoalSpec() as one:
            found = {"on_harm": one.on_failure, "valued": one.valued, "cap": one.cap, "dry_run": one.dry_run}
            result = "GoalSpec", {"goal": one.goal, "tolerance": one.tolerance, **found}
        case spec.ResourceSpec() as one:
            found = {"block": one.block, "on_harm": one.on_failure, "dry_run": one.dry_run}
            result = "Resource", {"name": one.name, "tolerance": one.tolerance, **found}
        case spec.ExternalSpec() as one:
            bounds = {"most": one.max, "least": one.min, "times": one.times}
            found = {"failures": one.failures, "on_harm": one.on_failure, "dry_run": one.dry_run}
            result = "External", {"name": one.name, **bounds, **found}
        case spec.HardLimitSpec() as one:
            result = "HardLimit", {"error_rate": one.error_rate, "min_requests": one.min_requests}
    return result
