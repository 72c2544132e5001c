"""The identity of evidence: the canary, how its users are distinguished, and how it is judged. Pure.

Evidence is valid only for the canary it was gathered from, so this digest is stored beside it. The digested text is
that of commit 64e2905, spelled out in literals: evidence survives upgrades, and a rename does not invalidate it. Fields
added later are left out. If another value of a later field invalidates evidence, append the field where its value is
not the default.
"""

import hashlib
from pathlib import PurePath

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

FORMS: dict[type, str] = {
    VersionConfig: "VersionConfig url endpoints connect_timeout response_timeout keep_alive health max_in_flight tls",
    Origin: "Origin scheme host port",
    HealthConfig: "HealthConfig path interval timeout unhealthy healthy version_header",
    UpstreamTlsConfig: "UpstreamTlsConfig ca server_name cert key",
    PemFile: "PemFile path",
    Affinity: "Affinity by name max_age",
    AnalysisSpec: "Spec confidence unit errors latency refusals=client_errors goals resources externals limits "
    "min_requests warmup prove_above dry_run",
    FixedLimits: "Limits most=max times",
    ErrorSpec: "Errors tolerance floor statuses limits dry_run",
    LatencySpec: "Latency tolerance floor q limits dry_run",
    ClientErrors: "Refusals tolerance floor on_harm=on_failure dry_run",
    GoalSpec: "GoalSpec goal tolerance on_harm=on_failure valued cap dry_run",
    ResourceSpec: "Resource name tolerance block on_harm=on_failure dry_run",
    ExternalSpec: "External name most=max least=min times failures on_harm=on_failure dry_run",
    HardLimitSpec: "HardLimit error_rate min_requests",
}
"""The name of each type in the text, then its fields in order: `name`, or `name=attribute` where they differ."""


def identity(route: RouteConfig) -> str:
    """Equal for routes whose evidence is about the same."""
    return hashlib.sha256(spelled((route.canary, route.affinity, route.spec)).encode()).hexdigest()


def spelled(value: object) -> str:
    """The text of a value that is digested, as `repr` was at that commit. A file counts by its path only."""
    if type(value) in FORMS:
        kind, *fields = FORMS[type(value)].split()
        pairs = ((name, attribute or name) for name, _, attribute in (field.partition("=") for field in fields))
        return f"{kind}({', '.join(f'{name}={spelled(getattr(value, attribute))}' for name, attribute in pairs)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(spelled, value))}{',' if len(value) == 1 else ''})"
    return f"PosixPath({value.as_posix()!r})" if isinstance(value, PurePath) else repr(value)
