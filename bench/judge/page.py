"""The page of the simulations: questions, results, and how to repeat them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bench.machine import machine

Row = Mapping[str, Any]
Results = Mapping[str, Sequence[Row]]

ACCEPTED = 29 / 2000
"""The 97.5 % quantile of the number of crossings at a true rate of 1 %: 29 in 2,000 runs."""

WINDOWS = {(0.001, 0.01): (75, 135), (0.01, 0.02): (270, 450), (0.05, 1.0): (0, 2)}
LATENCY_WINDOW = (6, 14)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def share(row: Row, key: str) -> str:
    """A frequency in percent."""
    return f"{100 * row[key] / row['runs']:.2f}".rstrip("0").rstrip(".") + " %"


def percent(rate: float) -> str:
    """A rate 0..1."""
    return f"{100 * rate:g} %"


def seconds(value: float | None, limit: float | None = None) -> str:
    """A time, or that it is beyond the end."""
    if value is None:
        return f"> {limit:,.0f}" if limit else "never"
    return f"{value:,.1f}" if value < 10 and value != int(value) else f"{value:,.0f}"


def found(row: Row) -> str:
    """Median and 90 % quantile, and the number of detections if not all were detected."""
    said = f"{seconds(row['median'], row['seconds'])} / {seconds(row['p90'], row['seconds'])}"
    return said if row["found"] == 1 else f"{said} ({row['found']:.0%})"


def holds(yes: bool) -> str:  # a word for a truth
    """In a word."""
    return "yes" if yes else "**no**"


def false_errors(rows: Sequence[Row]) -> str:
    """A healthy canary, errors."""
    head = (
        "traffic",
        "errors of both",
        "judge",
        "relative half alone",
        "peeked z, p < 1 %",
        "99 % in 1 min",
        "5 times",
    )
    return table(head, [
        [row["traffic"], percent(row["stable"]), f"{share(row, 'judge')} ({row['judge']} of {row['runs']:,})",
         share(row, "relative"), share(row, "z"), share(row, "rule 1"), share(row, "rule 5")] for row in rows
    ])  # fmt: skip


def false_latency(rows: Sequence[Row]) -> str:
    """A healthy canary, latency."""
    head = ("traffic", "the canary is", "judge", "peeked z of log means, p < 1 %", "p95 > 1.2 x in 1 min", "5 times")
    return table(head, [
        [row["traffic"], "equal" if row["slower"] == 1 else f"{row['slower']:g} times as slow (what is tolerated)",
         f"{share(row, 'judge')} ({row['judge']} of {row['runs']:,})", share(row, "z"), share(row, "rule 1"),
         share(row, "rule 5")] for row in rows
    ])  # fmt: skip


def delays(rows: Sequence[Row]) -> str:
    """A bad canary, errors."""
    head = ("errors", "requests/s", "weight", "judge: median / 90 %, s", "canary requests", "1 strike", "5 strikes")
    return table(head, [
        [f"{percent(row['stable'])} → {percent(row['canary'])}", f"{row['rate']:g}", percent(row["weight"] / 10_000),
         found(row), "" if row["requests"] is None else f"{row['requests']:,.0f}",
         seconds(row["rule 1"], row["seconds"]), seconds(row["rule 5"], row["seconds"])] for row in rows
    ])  # fmt: skip


def effect(row: Row) -> str:
    """How a canary is slower."""
    if row["tail"] != 1:
        return f"a tenth {row['tail']:g} times as slow"
    return f"all {100 * (row['slower'] - 1):.0f} % slower"


def delays_latency(rows: Sequence[Row]) -> str:
    """A slow canary."""
    head = ("canary", "requests/s", "weight", "judge: median / 90 %, s", "canary requests")
    rows = sorted(rows, key=effect)
    return table(head, [
        [effect(row), f"{row['rate']:g}", percent(row["weight"] / 10_000), found(row),
         "" if row["requests"] is None else f"{row['requests']:,.0f}"] for row in rows
    ])  # fmt: skip


def windows(results: Results) -> str:
    """Medians with their expected ranges."""
    rows = []
    for row in results["windows"]:
        low, high = WINDOWS[row["stable"], row["canary"]]
        rows.append([f"{percent(row['stable'])} → {percent(row['canary'])}", found(row), f"{low} to {high}",
                     holds(row["median"] is not None and low <= row["median"] <= high)])  # fmt: skip
    (row,) = results["windows latency"]
    low, high = LATENCY_WINDOW
    rows.append(["all 50 % slower", found(row), f"{low} to {high}", holds(low <= (row["median"] or 0) <= high)])
    return table(("100/s, 5 %, nothing tolerated", "median / 90 %, s", "expected", "holds"), rows)


def drift(rows: Sequence[Row]) -> str:
    """Events that affect both versions."""
    head = (
        "what happens to both versions alike",
        "judge",
        "peeked z",
        "one z on all counts at the end",
        "99 % in 1 min",
    )
    return table(head, [
        [row["what"], share(row, "judge"), share(row, "z"), share(row, "pooled"), share(row, "rule 1")] for row in rows
    ])  # fmt: skip


def dependence(results: Results) -> str:
    """Users and machines."""
    (row,) = results["users"]
    users = table(("an hour of 5 newcomers/s who come back 20 times, 2 % of whom fail 30 % of theirs, weight 5", "condemned"), [
        ["users keep their version, requests are counted", share(row, "sticky")],
        ["users keep their version, users are counted (as shipped)", share(row, "by user")],
        ["each request is drawn, requests are counted (as shipped)", share(row, "coin")],
    ])  # fmt: skip
    machines = table(("an hour; every machine stalls for 3 s in 900, failing half", "condemned", "median, s"), [
        [row["what"], share(row, "condemned"), "" if row["median"] is None else seconds(row["median"])]
        for row in results["machines"]
    ])  # fmt: skip
    return f"{users}\n\n{machines}"


def whole(rows: Sequence[Row]) -> str:
    """All checks together."""
    head = (
        "canary, 100/s, weight 5 unless said",
        "taken back",
        "median / 90 %, s",
        "passes, median s",
        "said to be better",
    )
    return table(head, [
        [row["what"], f"{row['failed']} of {row['runs']}",
         "" if row["median"] is None else f"{seconds(row['median'])} / {seconds(row['p90'])}",
         f"{row['passed']}, {seconds(row['pass'])}" if row["passed"] else "0", f"{row['better']}"] for row in rows
    ])  # fmt: skip


def verdicts(results: Results) -> list[list[str]]:
    """The claims, and whether they hold."""
    settings = [row for row in results["false errors"] if row["judge"] / row["runs"] > ACCEPTED]
    slow = [row for row in results["false latency"] if row["judge"] / row["runs"] > ACCEPTED]
    most = max(row["judge"] for row in results["false errors"])
    most_slow = max(row["judge"] for row in results["false latency"])
    looks = sum(row["looks"] for row in results["equality"])
    return [
        [f"errors: at most 29 of 2,000 healthy canaries condemned in each of {len(results['false errors'])} settings",
         holds(not settings), f"{most} at most"],
        [f"latency: the same in each of {len(results['false latency'])} settings", holds(not slow), f"{most_slow} at most"],
        ["the twin says what the real code says, to 1e-9", holds(bool(looks)),
         f"{looks:,} looks compared: 20 runs of each setting"],
    ]  # fmt: skip


def written(results: Results) -> str:
    """The whole page."""
    day = datetime.now(UTC).date().isoformat()
    return f"""# The judge, simulated

`make bench-judge` on {day}: {machine()}; seeds fixed, so it gives the same again.

{table(("claim", "holds", "seen"), verdicts(results))}

The splitter is the product's (whole cycles of `BlockSplit`), traffic comes by chance (Poisson), a look is a second. The
evidence is that of `canaryproxy/analysis/`, computed for thousands of runs at once by a twin on arrays, which `bench.judge.equality`
holds against the real code look by look. Beside it stand a fixed rule as in the examples of Flagger and Argo Rollouts, and a
z-test at p < 1 % that is looked at every second. Everything takes the whole alarm of 1 % for itself unless it says "all
checks": together errors have half of it and latency three tenths, which costs some 15 and 25 % more requests.

## A healthy canary: condemned within 10,000 looks

![How often each condemns a healthy canary](judge/pictures/false.svg)

{false_errors(results["false errors"])}

Latency, lognormal around {1000 * 0.05:.0f} ms, with a load that moves both versions by 10 % from second to second; tolerance 10 % and 2 ms:

{false_latency(results["false latency"])}

## A bad canary: how soon

![Seconds until a bad canary is found](judge/pictures/delay.svg)

{windows(results)}

Errors, as shipped (10 % tolerated, floor 0.1 %):

{delays(results["delays"])}

The rule's strikes look quick where it condemns the healthy as well; see above. It looks at 60 s at the earliest.

Latency, as shipped (10 % and 2 ms tolerated, a bet every fifth look while nothing is suspicious); no warm-up here, which adds
its 30 s to a canary that is slow from its first second. Of 50 ms 10 % and 2 ms are 14 %, so 20 % slower is hardly beyond what
is tolerated, and takes long:

{delays_latency(results["delays latency"])}

## What befalls both

{drift(results["drift"])}

"One z on all counts" is what a dashboard shows: over a ramp the canary has most of its requests late, when everybody fails
more often, and so looks ten times as bad as stable (Simpson's paradox).

## Requests that depend on each other

{dependence(results)}

Users who keep their version fail again and again, and requests of one machine's bad second fail together: neither is as much
evidence as it looks. Users are counted once; endpoints that were seen to stall count once a second.

## All checks together, as shipped

{whole(results["whole"])}

`passes` is the first time that nothing stood against going on; with less than 50 % of the traffic no proof of "no worse" is asked.
"""
