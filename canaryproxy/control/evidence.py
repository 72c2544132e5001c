"""What is stored of a canary under way: what its judge has learnt, and of whom, when and how long unwatched. Pure.

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
    """`at` is when it was written, in seconds since 1970; `of` says of what it is (`identity`), `version` what the
    canary called itself; `step` is when the step began, `lost` how much of it was unwatched; `judge` is the judge's.
    `extra` is what a later version has stored beside.
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
    return json.dumps(
        {
            **evidence.extra,
            VERSION: V,
            "at": evidence.at,
            "of": evidence.of,
            "version": evidence.version,
            "step": evidence.step,
            "lost": evidence.lost,
            "judge": evidence.judge,
        }
    )


KNOWN = frozenset(("v", "at", "of", "version", "step", "lost", "judge"))


def load(document: str) -> Evidence:
    """What `dump` gave. Raises `TooNewError` for what a later version wrote and this one must not act on;
    `ValueError`, `KeyError` or `TypeError` for anything else.
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
