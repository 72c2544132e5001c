"""What customers met on either way, and what that says. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class CustomerResults:
    """What one way did to its customers. `versions` has the versions that each customer got; `hurt` those customers who
    saw a failure; testers count apart, `testers` by the version that they got.
    """

    requests: int = 0
    canary: int = 0
    failed: int = 0
    versions: dict[int, set[str]] = field(default_factory=dict)
    hurt: set[int] = field(default_factory=set)
    testers: Counter[str] = field(default_factory=Counter)

    def count(self, customer: int, version: str, *, failed: bool, tester: bool) -> None:
        """One answer."""
        if tester:
            self.testers[version] += 1
            return
        self.requests += 1
        self.canary += version == "canary"
        self.failed += failed
        self.versions.setdefault(customer, set()).add(version)
        if failed:
            self.hurt.add(customer)

    @property
    def share(self) -> float:
        """Of the canary, percent."""
        return 100 * self.canary / self.requests if self.requests else 0.0

    @property
    def torn(self) -> int:
        """Customers who got both versions."""
        return sum(len(versions) > 1 for versions in self.versions.values())

    @property
    def tested(self) -> float:
        """Of the testers' requests, those that met the canary, percent."""
        total = self.testers.total()
        return 100 * self.testers["canary"] / total if total else 0.0


ROWS: tuple[tuple[str, Callable[[CustomerResults], str]], ...] = (
    ("requests of customers", lambda results: f"{results.requests:,}"),
    ("share of the canary", lambda results: f"{results.share:.2f} %"),
    ("failed for customers", lambda results: f"{results.failed:,}"),
    ("customers hurt", lambda results: f"{len(results.hurt):,} of {len(results.versions):,}"),
    ("customers who got both versions", lambda results: f"{results.torn:,}"),
    ("testers who met the canary", lambda results: f"{results.tested:.0f} %"),
)
"""What is shown of both ways."""


def rows(primitive: CustomerResults, ours: CustomerResults) -> list[tuple[str, str, str]]:
    """(what, the primitive way, ours)."""
    return [(what, say(primitive), say(ours)) for what, say in ROWS]


def facts(results: CustomerResults) -> dict[str, float]:
    """The same as numbers."""
    return {
        "requests": results.requests,
        "canary_percent": round(results.share, 3),
        "failed": results.failed,
        "customers": len(results.versions),
        "customers_hurt": len(results.hurt),
        "customers_with_both_versions": results.torn,
        "testers_on_canary_percent": round(results.tested, 1),
    }


def closing(primitive: CustomerResults, ours: CustomerResults, weight: float, back: float) -> Iterator[str]:
    """What the primitive way cannot do, each with what was measured; `back` is how long the way back took, seconds."""
    yield "What replica counts cannot do, measured just now:"
    yield (
        f"- {weight:g} %: with ten replicas the least is 10 % ({primitive.share:.2f} % measured), here it is what was "
        f"asked for ({ours.share:.2f} %, by whole customers). There 1 % would take 100 replicas."
    )
    yield (
        f"- Testers first: their own header brought {ours.tested:.0f} % of their requests to the canary, there "
        f"{primitive.tested:.0f} % met it by luck."
    )
    yield (
        f"- One version for one customer: {primitive.torn:,} of {len(primitive.versions):,} customers got both there, "
        f"{ours.torn:,} here."
    )
    yield (
        f"- A small blast radius: the canary's failures hurt {len(primitive.hurt):,} customers there, "
        f"{len(ours.hurt):,} here."
    )
    yield (
        f"- The way back at once: PUT weight 0 was true for every worker after {1000 * back:.1f} ms. There a replica "
        "has to be scaled away, and connections that are open stay with it."
    )
    yield (
        "- Knowing: there, errors are not counted by version; here, /stats and /metrics show errors, latency and goals "
        "of both."
    )
