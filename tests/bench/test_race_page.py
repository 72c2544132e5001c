"""The page says what the rows say, and nothing that was not measured."""

from bench.race import page
from bench.race.claims import Claim, claims
from bench.race.peers import PEERS
from bench.race.results import Results, Run
from bench.race.rows import Row, Spread

RUN = Run("make bench", "2026-11-25", "a machine", "1", 2, 4)
CPU = {
    "floor": 6.0, "canaryproxy": 8.0, "HAProxy": 10.0, "nginx": 10.0, "Envoy": 40.0, "Traefik": 60.0, "Caddy": 90.0,
}  # fmt: skip


def measured() -> Results:
    found = Results()
    requests = [Row("requests", peer, "", turn, {"cpu": cpu * turn, "rate": 1000}) for peer, cpu in CPU.items()
                for turn in (1, 2)]  # fmt: skip
    quantiles = {"p50": 100.0, "p99": 500.0, "p99.9": 900.0}
    values = {"paced": 600, "late": 0, "uncompleted": 0, "cpu": 9.0, **quantiles}
    latency = [Row("latency", peer, "own" if cpu > 20 else "equal", 1, values) for peer, cpu in CPU.items()]
    idle = [Row("idle", "canaryproxy", "", 1, {"kib": 3.5, "answered": 10_000, "closed": 0})]
    rules = [Row("rules", "canaryproxy", count, 1, {"cpu": 8.0, "aside": 0.1, "rate": 1000})
             for count in ("1", "100", "10000")]  # fmt: skip
    many = [Row("connections", "HAProxy", count, 1, {"cpu": 8.0, "rate": 1}) for count in ("1000", "10")]
    for part, rows in (("requests", requests), ("latency", latency), ("idle", idle), ("rules", rules),
                       ("connections", many)):  # fmt: skip
        found.put(part, RUN, rows)
    return found


def test_the_verdict_holds_claims_against_ratios() -> None:
    lines = page.verdict(measured()).splitlines()
    assert "| CPU per request | ≤ 0.9 × HAProxy | 0.80 (0.80-0.80) | yes |" in lines
    assert "| CPU per request | ≤ 1.35 × floor | 1.33 (1.33-1.33) | yes |" in lines
    assert "| memory of an idle connection, 10,000 open, all served | ≤ 3 KiB | 3.50 (3.50-3.50) | **no** |" in lines
    assert "| CPU per request with 1,000 routes | ≤ 1.05 × one route |  | not measured |" in lines


def test_who_cannot_be_asked_so_much_has_lost() -> None:
    found = Results()
    found.put("latency", RUN, [Row("latency", "canaryproxy", "own", 1, {"p99": 1})])
    claim = next(one for one in claims(found) if one.text.startswith("p99"))
    assert claim.cells()[3] == "**no**: past its own saturation there"


def test_a_target_may_be_a_least() -> None:
    assert Claim("throughput", 1.8, Spread(1.9, 1, 2), "x", at_least=True).held()
    assert not Claim("throughput", 1.8, Spread(1.7, 1, 2), "x", at_least=True).held()
    assert Claim("throughput", 1.8, None, "x", at_least=True).held() is None


def test_sections_without_rows_are_left_out() -> None:
    text = page.page(measured())
    for there in ("## CPU per request", "## Latency at equal load", "## Idle connections", "## More of everything"):
        assert there in text
    for absent in ("## TLS", "## Large bodies", "## New connections", "## At rest"):
        assert absent not in text
    assert "Traefik (its own 60 %)" in text
    assert "| CPU µs a request with | 10 connections | 1,000 connections |" in text
    assert "1 rule |" in text
    assert "make bench` on 2026-11-25" in text
    assert text.rstrip().endswith(page.NOTES.read_text().rstrip())


def test_nothing_measured_makes_a_page_too() -> None:
    assert "not measured" in page.page(Results())


def test_every_peer_has_its_figures_in_the_verdict_or_the_tables() -> None:
    text = page.requests(measured())
    assert all(peer.name in text for peer in PEERS)
