"""RESULTS.md: the verdict, then figures part by part, then where the rest goes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.race.claims import claims
from bench.race.parts import ROUTES, RULES, WORKERS
from bench.race.peers import FLOOR, HAPROXY, NGINX, OURS, PEERS
from bench.race.results import Results
from bench.race.rows import Rows, Spread, paired

NOTES = Path(__file__).with_name("notes.md")
BASES = (HAPROXY.name, NGINX.name, FLOOR.name)
NONE = "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, figures to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(value: Spread | None, digits: int = 1, *, scale: float = 1) -> str:
    """`median (least-most)`, or nothing."""
    if value is None:
        return NONE
    return Spread(value.median * scale, value.low * scale, value.high * scale).said(digits)


def middle(value: Spread | None, digits: int = 0, *, scale: float = 1) -> str:
    """The median alone."""
    return NONE if value is None else f"{value.median * scale:,.{digits}f}"


def ordered(rows: Rows) -> list[str]:
    """The peers of a part in our order."""
    there = rows.peers()
    return [peer.name for peer in PEERS if peer.name in there]


def ratios(rows: Rows, peer: str, key: str = "cpu") -> list[str]:
    """To HAProxy, to nginx, to the floor, round by round."""
    return [figure(paired(rows.of(peer), rows.of(base), key), 2) for base in BASES]


def bold(peer: str) -> str:
    """Ours stands out."""
    return f"**{peer}**" if peer == OURS.name else peer


def picture(name: str, says: str) -> str:
    """One for a light page, one for a dark one."""
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="pictures/{name}-dark.svg">'
        f'<img alt="{says}" src="pictures/{name}.svg"></picture>'
    )


def verdict(results: Results) -> str:
    """Claim, target, measured, held?"""
    return table(("claim", "target", "measured", "held?"), [claim.cells() for claim in claims(results)])


def requests(results: Results) -> str:
    """CPU a request, and saturation."""
    rows = results.part("requests")
    head = ("proxy", "CPU µs a request", *(f"× {base}" for base in BASES), "requests/s at saturation")
    lines = [
        (bold(peer), figure(rows.of(peer).spread("cpu")), *ratios(rows, peer), figure(rows.of(peer).spread("rate"), 0))
        for peer in ordered(rows)
    ]
    return f"""## CPU per request

{picture("cost", "CPU microseconds per request, proxy by proxy")}

{table(head, lines)}

128 connections in a closed loop, responses of 100 bytes. The rate is that of a proxy that saturates its core.
"""


def latency(results: Results) -> str:
    """Equal open-loop load, and each one's own."""
    rows = results.part("latency")
    head = ("proxy", "requests/s", "p50 ms", "p99 ms", "× HAProxy", "p99.9 ms", "CPU µs", "late", "unanswered")
    lines = []
    for setting in ("equal", "own"):
        some = rows.at(setting)
        for peer in ordered(some):
            mine = some.of(peer)
            lines.append((
                bold(peer) + (" (its own 60 %)" if setting == "own" else ""),
                middle(mine.spread("paced")),
                figure(mine.spread("p50"), 2, scale=0.001),
                figure(mine.spread("p99"), 2, scale=0.001),
                figure(paired(mine, some.of(HAPROXY.name), "p99"), 2) if setting == "equal" else "cannot",
                figure(mine.spread("p99.9"), 2, scale=0.001),
                middle(mine.spread("cpu"), 1),
                middle(mine.spread("late")),
                middle(mine.spread("uncompleted")),
            ))  # fmt: skip
    return f"""## Latency at equal load

{picture("latency", "Latency by percentile at equal open-loop load")}

{table(head, lines)}

Poisson arrivals at 60 % of HAProxy's saturation rate over 64 connections; a latency counts from the moment a request
was due. `late` requests were sent a millisecond or more after that: no connection was free, or load and origins, which
share a core, were behind. A proxy that cannot serve this rate is measured at 60 % of its own saturation rate.
"""


def idle(results: Results) -> str:
    """Memory."""
    rows = results.part("idle")
    lines = [
        (bold(peer), figure(rows.of(peer).spread("kib"), 2), middle(rows.of(peer).spread("answered")))
        for peer in ordered(rows)
    ]
    return f"""## Idle connections

{picture("idle", "KiB of memory per idle connection")}

{table(("proxy", "KiB a connection", "answered when asked again"), lines)}

10,000 connections, each used once, then kept: the growth of resident memory over all processes of the proxy.
"""


def bodies(results: Results) -> str:
    """Both ways."""
    rows = results.part("bodies")
    lines = []
    for way, said in (("down", "to the client"), ("up", "from the client")):
        some = rows.at(way)
        lines += [
            (bold(peer), said, figure(some.of(peer).spread("cpu"), 0), *ratios(some, peer)[:2],
             middle(some.of(peer).spread("rate"), 2))
            for peer in ordered(some)
        ]  # fmt: skip
    head = ("proxy", "1 MiB bodies", "CPU ms a GiB", *(f"× {base}" for base in BASES[:2]), "GiB/s")
    return f"""## Large bodies

{picture("bodies", "CPU milliseconds per GiB of 1 MiB bodies, both ways")}

{table(head, lines)}

Eight connections, streamed by all; HAProxy without splice.
"""


def connecting(results: Results) -> str:
    """One request each."""
    rows = results.part("connecting")
    lines = [
        (bold(peer), figure(rows.of(peer).spread("cpu")), *ratios(rows, peer)[:2], middle(rows.of(peer).spread("rate")))
        for peer in ordered(rows)
    ]
    head = ("proxy", "CPU µs a connection", *(f"× {base}" for base in BASES[:2]), "connections/s")
    return f"""## New connections

{table(head, lines)}

One connection per request, 32 at once; connections to origins are kept.
"""


def tls(results: Results) -> str:
    """Kept and new."""
    rows = results.part("tls")
    lines = []
    for setting, said in (("kept", "a request, kept connections"), ("new", "a handshake and a request")):
        some = rows.at(setting)
        lines += [
            (bold(peer), said, figure(some.of(peer).spread("cpu")), *ratios(some, peer)[:2],
             middle(some.of(peer).spread("rate")))
            for peer in ordered(some)
        ]  # fmt: skip
    head = ("proxy", "over TLS 1.3", "CPU µs", *(f"× {base}" for base in BASES[:2]), "a second")
    return f"""## TLS

{table(head, lines)}

A P-256 certificate, 64 connections; every handshake is a full one, and its client half runs on the load's core.
"""


def scaling(results: Results) -> str:
    """Rules, routes, connections, workers."""
    lines = []
    for part, settings in (("rules", RULES), ("routes", ROUTES), ("workers", WORKERS)):
        rows = results.part(part)
        for setting in settings:
            if mine := rows.at(f"{setting}"):
                ratio = paired(mine, rows.at(f"{settings[0]}"), "cpu")
                lines.append((
                    f"{setting:,} {part if setting > 1 else part.removesuffix('s')}",
                    figure(mine.spread("cpu")),
                    NONE if part == "workers" else middle(mine.spread("aside"), 1),
                    figure(ratio, 3),
                    middle(mine.spread("rate")),
                ))  # fmt: skip
    head = ("canaryproxy with", "CPU µs a request", "of it not the busiest process", "ratio to one", "requests/s")
    text = table(head, lines) if lines else ""
    rows = results.part("connections")
    if rows:
        counts = sorted(rows.settings(), key=int)
        columns = ("CPU µs a request with", *(f"{int(count):,} connections" for count in counts))
        more = [
            (bold(peer), *(figure(rows.of(peer).at(count).spread("cpu")) for count in counts)) for peer in ordered(rows)
        ]
        text += f"\n\n{table(columns, more)}"
    return f"""## More of everything

{picture("scaling", "CPU per request by rules, routes and connections")}

{text}

With 10,000 rules, a third of the users has one; with 1,000 routes, each of 1,000 connections keeps to the host of one
route; of many connections at most 64 are used at once. On a machine with two cores, two workers share them with the
load: their CPU per request can be shown there, their throughput cannot.
"""


def rest(results: Results) -> str:
    """Nothing to do."""
    rows = results.part("rest")
    lines = [
        (bold(peer), middle(rows.of(peer).spread("mib")), middle(rows.of(peer).spread("cpu"), 1))
        for peer in ordered(rows)
    ]
    return f"""## At rest

{table(("proxy", "MiB resident, all processes", "CPU ms a second"), lines)}

One worker each. Memory that processes share counts for each of them.
"""


SECTIONS: dict[str, tuple[tuple[str, ...], Callable[[Results], str]]] = {
    "requests": (("requests",), requests), "latency": (("latency",), latency), "bodies": (("bodies",), bodies),
    "idle": (("idle",), idle), "connecting": (("connecting",), connecting), "tls": (("tls",), tls),
    "scaling": (("rules", "routes", "workers", "connections"), scaling), "rest": (("rest",), rest),
}  # fmt: skip


def measured(results: Results) -> str:
    """Which parts come of which run."""
    by_run: dict[str, list[str]] = {}
    for part, run in results.runs.items():
        text = (
            f"`{run.command}` on {run.date}, canaryproxy {run.version}: {run.rounds} interleaved rounds of "
            f"{run.seconds:g} s a proxy; {run.machine}"
        )
        by_run.setdefault(text, []).append(part)
    return "\n".join(f"- {', '.join(parts)}: {text}" for text, parts in by_run.items())


def page(results: Results) -> str:
    """All of it; sections without rows are left out."""
    sections = "\n".join(
        make(results) for parts, make in SECTIONS.values() if any(results.part(part) for part in parts)
    )
    lacking = "; ".join(f"{peer.name}: {peer.lacks}" for peer in PEERS if peer.lacks)
    return f"""# Beside nginx, HAProxy, Envoy, Traefik and Caddy

Written by `make bench` and `make bench-full`; method and interpretation: [README](README.md). Medians
(minimum-maximum); ratios are taken round by round. Equal work: keep-alive both ways, a 90/10 split, forwarded fields, a
request id, Via, one worker, no access log. canaryproxy has a rule, cookie affinity, goals, admin API and state besides.
What cannot be equal: {lacking}.

{measured(results)}

{verdict(results)}

{sections}
{NOTES.read_text()}"""
