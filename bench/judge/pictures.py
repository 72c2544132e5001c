"""Pictures of the simulations, and those of evidence in the documentation."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from canaryproxy.analysis.stats.rate_tests import Block, HigherRate

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "canaryproxy",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "figure.constrained_layout.use": True,
    }
)

OURS, OTHER, THIRD, GREY = "#0b6e4f", "#c84630", "#d9a441", "#8a8f98"
Row = Mapping[str, Any]
NEVER = 20_000


def draw(results: Mapping[str, Sequence[Row]], folder: Path, docs: Path) -> None:
    """All of them."""
    folder.mkdir(exist_ok=True)
    docs.mkdir(exist_ok=True)
    false_alarms(results["false errors"], folder / "false.svg")
    delays(results["delays"], folder / "delay.svg")
    evidence(docs / "evidence.svg")
    shared(docs / "shared.svg")


def save(figure: Any, path: Path) -> None:
    """Save without a date, so that equal pictures are equal files."""
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def false_alarms(rows: Sequence[Row], path: Path) -> None:
    """Each setting a row of points."""
    figure, axes = plt.subplots(figsize=(8, 4.2))
    places = range(len(rows))
    for key, colour, label, mark in (
        ("judge", OURS, "this judge", "o"),
        ("z", OTHER, "z-test looked at every second, p < 1 %", "s"),
        ("rule 1", THIRD, "99 % in one minute, once", "^"),
        ("rule 5", GREY, "99 % in one minute, five times", "v"),
    ):
        shares = [max(100 * row[key] / row["runs"], 0.02) for row in rows]
        axes.scatter(shares, places, c=colour, marker=mark, label=label, s=34, zorder=3)
    axes.axvline(1, color=OURS, linestyle="--", linewidth=1)
    axes.text(1.05, len(rows) - 0.4, "promised: 1 %", color=OURS, fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.015, 150)
    axes.set_xticks([0.02, 0.1, 1, 10, 100], ["0", "0.1 %", "1 %", "10 %", "100 %"])
    axes.set_yticks(list(places), [f"{row['traffic']}, errors {100 * row['stable']:g} %" for row in rows])
    axes.set_xlabel("healthy canaries condemned within 10,000 looks")
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.02), ncols=2, frameon=False)
    save(figure, path)


def delays(rows: Sequence[Row], path: Path) -> None:
    """Medians at each traffic, one picture for each effect."""
    effects = sorted({(row["stable"], row["canary"]) for row in rows}, key=lambda one: one[1] / one[0])
    figure, many = plt.subplots(1, len(effects), figsize=(10, 3.2), sharey=True)
    for axes, (stable, canary) in zip(many, effects, strict=True):
        for weight, colour in ((100, GREY), (500, OURS), (2000, THIRD)):
            some = [row for row in rows if (row["stable"], row["canary"], row["weight"]) == (stable, canary, weight)]
            axes.plot(
                [row["rate"] for row in some],
                [row["median"] or NEVER for row in some],
                "o-",
                color=colour,
                label=f"weight {weight / 100:g} %",
            )
        axes.axhline(60, color=OTHER, linestyle=":", linewidth=1)
        axes.axhline(300, color=OTHER, linestyle="--", linewidth=1)
        axes.set(
            xscale="log",
            yscale="log",
            ylim=(0.03, NEVER),
            xlabel="requests/s",
            title=f"{100 * stable:g} % → {100 * canary:g} %",
        )
    many[0].set_ylabel("seconds until found (median)")
    many[0].text(10, 66, "a rule's first minute", color=OTHER, fontsize=7)
    many[0].text(10, 330, "five strikes", color=OTHER, fontsize=7)
    many[-1].legend(frameon=False, fontsize=8)
    save(figure, path)


def path_of(rng: random.Random, canary: float, stable: float, looks: int, since: int = 0) -> list[float]:
    """The evidence of one canary at 300/s and 5 %, look by look."""
    judge, values = HigherRate(1.1, 0.001), []
    for look in range(looks):
        rate = canary if look >= since else stable
        bad = sum(rng.random() < rate for _ in range(15))
        judge.bet(Block(15, bad, 285, sum(rng.random() < stable for _ in range(285))))
        values.append(judge.value)
    return values


def evidence(path: Path) -> None:
    """The evidence of healthy and broken canaries."""
    rng = random.Random(11)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for axes, canary, title in (
        (left, 0.01, "thirty healthy canaries"),
        (right, 0.03, "thirty that fail three times as often"),
    ):
        for _ in range(30):
            values = path_of(rng, canary, 0.01, 240)
            axes.plot(
                range(0, 240, 2), values[::2], color=OURS if max(values) < 100 else OTHER, linewidth=0.7, alpha=0.7
            )
        axes.axhline(100, color="black", linewidth=1, linestyle="--")
        axes.axhline(1, color=GREY, linewidth=0.8)
        axes.set(yscale="log", ylim=(0.05, 2000), xlabel="seconds", title=title)
    left.set_ylabel("evidence that the canary is worse")
    left.text(10, 120, "taken back", fontsize=8)
    left.text(150, 1.25, "none either way", fontsize=8, color=GREY)
    save(figure, path)


def shared(path: Path) -> None:
    """An outage of both versions: rates jump, evidence does not."""
    rng = random.Random(5)
    judge, rates, values = HigherRate(1.1, 0.001), [], []
    for look in range(300):
        rate = 0.6 if 100 <= look < 160 else 0.01
        block = Block(
            15, sum(rng.random() < rate for _ in range(15)), 285, sum(rng.random() < rate for _ in range(285))
        )
        judge.bet(block)
        rates.append((100 * block.canary_failed / 15, 100 * block.stable_failed / 285))
        values.append(judge.value)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 3.8), sharex=True)
    top.plot([canary for canary, _ in rates], color=OTHER, linewidth=0.8, label="canary")
    top.plot([stable for _, stable in rates], color=OURS, linewidth=1.2, label="stable")
    top.set_ylabel("errors, %")
    top.legend(frameon=False)
    bottom.plot(values, color="black", linewidth=1)
    bottom.axhline(100, color="black", linewidth=1, linestyle="--")
    bottom.set(yscale="log", ylim=(0.05, 300), xlabel="seconds", ylabel="evidence")
    bottom.text(2, 115, "taken back", fontsize=8)
    save(figure, path)
