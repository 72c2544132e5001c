"""What canaryproxy claims, held against the rows."""

import os
from dataclasses import dataclass

from bench.race.peers import FLOOR, HAPROXY, NGINX, OURS
from bench.race.results import Results
from bench.race.rows import Rows, Spread, paired

SAME = 1.05
"""As much as two equal proxies differ by, give or take."""


@dataclass(frozen=True)
class Claim:
    """`unit` follows the figures; `at_least` turns the comparison round; `why_not` says why nothing was measured."""

    text: str
    limit: float
    measured: Spread | None
    unit: str
    at_least: bool = False
    why_not: str = "not measured"

    def held(self) -> bool | None:
        """Nothing where it was not measured."""
        if self.measured is None:
            return None
        return self.measured.median >= self.limit if self.at_least else self.measured.median <= self.limit

    def cells(self) -> tuple[str, str, str, str]:
        """A line of the verdict."""
        target = f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"
        held = self.held()
        if self.measured is None:
            return self.text, target, "", self.why_not
        return self.text, target, self.measured.said(2), "yes" if held else "**no**"


def claims(results: Results) -> list[Claim]:
    """All of them, in the order of the page."""
    return [*_requests(results), *_latency(results), *_size(results), *_scaling(results)]


def _requests(results: Results) -> list[Claim]:
    rows = results.part("requests")

    def ratio(of: str, to: str) -> Spread | None:
        return paired(rows.of(of), rows.of(to), "cpu")

    limits = ((HAPROXY.name, 0.9), (NGINX.name, 0.85), (FLOOR.name, 1.35), ("Envoy", 0.35), ("Traefik", 0.3))
    return [Claim("CPU per request", limit, ratio(OURS.name, to), f"× {to}") for to, limit in limits]


def _latency(results: Results) -> list[Claim]:
    rows = results.part("latency")
    equal = rows.at("equal")
    why_not = "not measured"
    if rows.at("own").of(OURS.name):
        why_not = "**no**: past its own saturation there"
    ratio = paired(equal.of(OURS.name), equal.of(HAPROXY.name), "p99")
    return [Claim("p99 at 60 % of HAProxy's saturation rate", 1.2, ratio, f"× {HAPROXY.name}", why_not=why_not)]


def _size(results: Results) -> list[Claim]:
    held = results.part("idle").of(OURS.name)
    made = [Claim("memory of an idle connection, 10,000 open, all served", 3, held.spread("kib"), "KiB")]
    for way, said in (("down", "to"), ("up", "from")):
        rows = results.part("bodies").at(way)
        ratio = paired(rows.of(OURS.name), rows.of(HAPROXY.name), "cpu")
        made.append(Claim(f"CPU per GiB, 1 MiB bodies {said} the client", 1.0, ratio, f"× {HAPROXY.name}"))
    return made


def _scaling(results: Results) -> list[Claim]:
    def ratio(part: str, many: str, few: str, key: str = "cpu") -> Spread | None:
        rows: Rows = results.part(part).of(OURS.name)
        return paired(rows.at(many), rows.at(few), key)

    cores = os.cpu_count() or 1
    why_not = "not measured" if cores > 2 else f"not shown: {cores} cores, one of which the load needs"
    throughput = ratio("workers", "2", "1", "rate") if cores > 2 else None
    return [
        Claim("CPU per request with 10,000 rules", SAME, ratio("rules", "10000", "1"), "× one rule"),
        Claim("CPU per request with 1,000 routes", SAME, ratio("routes", "1000", "1"), "× one route"),
        Claim("CPU per request with 2 workers", SAME, ratio("workers", "2", "1"), "× one worker"),
        Claim("throughput of 2 workers", 1.8, throughput, "× one worker", at_least=True, why_not=why_not),
    ]
