"""The stored form of a judge's evidence about a canary. Pure.

To add a field: give `Evidence` a default, and name it in `dump` and `load` with that default
(docs/decisions/0013-stored-state.md).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from canaryproxy.analysis.snapshot_migration import readable
from canaryproxy.model.document import VERSION, Document, mapping, number, text, unknown, version_of

V = 1
"""0 is the form of commit 64e2905: the same fields without `v`."""


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
    return Evidence(
        at=number(data["at"]),
        of=text(data["of"]),
        version=text(data.get("version", "")),
        step=number(data["step"]),
        lost=number(data.get("lost", 0.0)),
        judge=judge,
        extra=unknown(data, KNOWN),
    )
