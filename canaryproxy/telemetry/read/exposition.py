"""The Prometheus exposition, rendered in slices, once for all formats. Pure.

The classic text and OpenMetrics differ only in the lines before the samples of a family, so both are rendered together.
There are four content types. Rendering a thousand routes takes far longer than an event loop may be blocked, so
`render` yields a piece for every few routes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest as classic_text
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text

from canaryproxy.telemetry.read.metrics import ROUTE_FAMILIES, InstanceFacts, instance_families

# Routes in one piece: rendering two takes a few milliseconds, so the event loop is never blocked for longer.
SLICE = 2

# Approximate bytes per write.
BLOCK = 65_536

EOF_MARK = b"# EOF\n"

Kind = Literal["text", "openmetrics"]


@dataclass(frozen=True, slots=True)
class ExpositionFormat:
    """A text format and its content type."""

    kind: Kind
    content_type: str


TEXT = ExpositionFormat("text", "text/plain; version=0.0.4; charset=utf-8")
TEXT_1 = ExpositionFormat("text", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores")
OPENMETRICS = ExpositionFormat("openmetrics", "application/openmetrics-text; version=1.0.0; charset=utf-8")
OPENMETRICS_1 = ExpositionFormat("openmetrics", f"{OPENMETRICS.content_type}; escaping=underscores")


def negotiate(accept: str) -> ExpositionFormat:
    """The format for an Accept header: the first known one in it, else the classic text. The content type never echoes
    text of the client.
    """
    for one in accept.split(","):
        media, *parameters = (part.strip().lower() for part in one.split(";"))
        said = dict(part.split("=", 1) for part in parameters if "=" in part)
        version = said.get("version", "")
        if said.get("q", "").strip("0.") == "" and "q" in said:
            continue
        if media == "application/openmetrics-text" and not version:
            return OPENMETRICS
        if media == "application/openmetrics-text" and version.startswith("1."):
            return OPENMETRICS_1
        if media == "text/plain":
            return TEXT_1 if version.startswith("1.") else TEXT
    return TEXT


@dataclass(frozen=True, slots=True)
class ExpositionPiece:
    """Samples, and the lines before them in each format; empty where samples of the same family precede."""

    text: bytes
    openmetrics: bytes
    samples: bytes


def render(facts: InstanceFacts) -> Iterator[ExpositionPiece]:
    """The exposition in pieces, each of which takes a few milliseconds."""
    for family in instance_families(facts):
        yield ExpositionPiece(*_heads(family), _samples(family))
    for make in ROUTE_FAMILIES:
        heads = _heads(make(facts, ()))
        for start in range(0, max(len(facts.routes), 1), SLICE):
            yield ExpositionPiece(*heads, _samples(make(facts, facts.routes[start : start + SLICE])))
            heads = b"", b""
    yield ExpositionPiece(b"", EOF_MARK, b"")


@dataclass(frozen=True, slots=True, eq=False)
class Exposition:
    """A complete rendering. All readers share its bytes."""

    pieces: Sequence[ExpositionPiece]

    @property
    def size(self) -> int:
        """Approximate bytes in memory."""
        return sum(len(piece.samples) for piece in self.pieces)

    def length(self, form: ExpositionFormat) -> int:
        """Bytes in a format."""
        return self.size + sum(len(_head(piece, form)) for piece in self.pieces)

    def blocks(self, form: ExpositionFormat) -> Iterator[bytes]:
        """The text in a format, in blocks of at least `BLOCK` bytes but the last. A large piece is not copied."""
        waiting: list[bytes] = []
        size = 0
        for piece in self.pieces:
            for part in filter(None, (_head(piece, form), piece.samples)):
                waiting.append(part)
                size += len(part)
            if size >= BLOCK:
                yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
                waiting, size = [], 0
        if waiting:
            yield b"".join(waiting)


def _head(piece: ExpositionPiece, form: ExpositionFormat) -> bytes:
    return piece.text if form.kind == "text" else piece.openmetrics


class _SingleMetric:
    """A registry with one family."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def _heads(family: Metric) -> tuple[bytes, bytes]:
    """HELP and TYPE of a family, as text and as OpenMetrics."""
    bare = Metric(family.name, family.documentation, family.type, family.unit)
    openmetrics: bytes = openmetrics_text(_SingleMetric(bare))  # type: ignore[no-untyped-call]
    return classic_text(_SingleMetric(bare)), openmetrics.removesuffix(EOF_MARK)


def _samples(family: Metric) -> bytes:
    """The samples without HELP and TYPE."""
    written: bytes = classic_text(_SingleMetric(family))
    while written.startswith(b"#"):
        written = written.partition(b"\n")[2]
    return written
