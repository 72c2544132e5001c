"""The pictures of RESULTS.md, each for a light page and for a dark one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.race.page import ordered
from bench.race.peers import FLOOR, HAPROXY, OURS
from bench.race.results import Results
from bench.race.rows import Rows, Spread


@dataclass(frozen=True)
class Theme:
    """The colours of a page."""

    suffix: str
    ink: str
    soft: str
    ours: str
    bar: str


LIGHT = Theme("", "#1f2328", "#818b98", "#0b8457", "#c3cad3")
DARK = Theme("-dark", "#e6edf3", "#7d8590", "#3fb97f", "#3d4652")
LINES = {
    "HAProxy": "#4a7fd6",
    "nginx": "#d1772f",
    "Envoy": "#a05cc9",
    "Traefik": "#2aa5b5",
    "Caddy": "#c9a227",
}
STYLE: dict[str, Any] = {
    "svg.hashsalt": "canaryproxy",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}
Draw = Callable[[Results, Theme], Any]


def draw(results: Results, folder: Path) -> None:
    """All for which there are rows."""
    mpl.use("svg")
    folder.mkdir(exist_ok=True)
    pictures: dict[str, tuple[Draw, tuple[str, ...]]] = {
        "cost": (cost, ("requests",)),
        "latency": (latency, ("latency",)),
        "idle": (idle, ("idle",)),
        "bodies": (bodies, ("bodies",)),
        "scaling": (scaling, ("rules", "routes", "connections")),
    }
    for name, (make, parts) in pictures.items():
        if any(results.part(part) for part in parts):
            for theme in (LIGHT, DARK):
                with mpl.rc_context(styled(theme)):
                    save(make(results, theme), folder / f"{name}{theme.suffix}.svg")


def styled(theme: Theme) -> Any:
    """Matplotlib's settings for a page."""
    settings: dict[str, Any] = dict(STYLE)
    soft = ("axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    ink = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor", "axes.titlecolor")
    return settings | dict.fromkeys(soft, theme.soft) | dict.fromkeys(ink, theme.ink)


def save(figure: Any, path: Path) -> None:
    """Without date and background: the same picture is the same file, on any page."""
    figure.savefig(path, metadata={"Date": None}, transparent=True)
    plt.close(figure)


def colour(peer: str, theme: Theme) -> str:
    """Ours stands out."""
    return theme.ours if peer == OURS.name else theme.bar


def bars(axes: Any, values: Sequence[tuple[str, Spread, str]], theme: Theme, room: float) -> None:
    """Horizontal ones with their spread; each with a text at its end, for which there is `room`."""
    for place, (peer, value, text) in enumerate(values):
        axes.barh(place, value.median, color=colour(peer, theme), height=0.62)
        axes.plot([value.low, value.high], [place, place], color=theme.ink, linewidth=1, alpha=0.55)
        axes.text(max(value.high, 0), place, f"  {text}", va="center", color=theme.ink, fontsize=9)
    axes.set_yticks(range(len(values)), [peer for peer, _, _ in values])
    for label, (peer, _, _) in zip(axes.get_yticklabels(), values, strict=True):
        label.set_fontweight("bold" if peer == OURS.name else "normal")
    axes.invert_yaxis()
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.set_xlim(0, max(value.high for _, value, _ in values) * room)


def spreads(rows: Rows, key: str) -> list[tuple[str, Spread]]:
    """Peers and their values, least first."""
    found = [(peer, value) for peer in ordered(rows) if (value := rows.of(peer).spread(key))]
    return sorted(found, key=lambda one: one[1].median)


def cost(results: Results, theme: Theme) -> Any:
    """CPU a request, as bars; the floor as a line that no proxy gets below."""
    rows = results.part("requests")
    found = spreads(rows, "cpu")
    base = rows.of(HAPROXY.name).spread("cpu")
    figure, axes = plt.subplots(figsize=(8.6, 0.46 * len(found) + 1.1))
    labelled = [
        (peer, value, f"{value.median:.1f} µs" + (f"   {value.median / base.median:.2f} × HAProxy" if base else ""))
        for peer, value in found
    ]
    bars(axes, labelled, theme, 1.36)
    floor = rows.of(FLOOR.name).spread("cpu")
    if floor:
        axes.axvline(floor.median, color=theme.ink, linewidth=1, linestyle=(0, (4, 3)), alpha=0.7)
    axes.set_title("CPU per request", fontweight="bold", loc="left")
    axes.set_xlabel("µs, all processes; the dashed line is the floor: bytes forwarded unread")
    return figure


def latency(results: Results, theme: Theme) -> Any:
    """By percentile; the further right, the rarer. Dotted: who was asked less, for it cannot answer so many."""
    rows = results.part("latency")
    figure, axes = plt.subplots(figsize=(9.6, 4.4))
    for setting in ("equal", "own"):
        some = rows.at(setting)
        for peer in ordered(some):
            curve(axes, peer, some.of(peer), setting == "own", theme)
    axes.set(xscale="log", yscale="log", ylabel="milliseconds", xlim=(1.9, 10_000))
    axes.set_xticks([2, 10, 100, 1000, 10_000], ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"])
    axes.minorticks_off()
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(alpha=0.25)
    with_pacing = rows.at("equal").spread("paced")
    rate = f" at {with_pacing.median:,.0f} requests/s" if with_pacing else ""
    axes.set_title(f"Latency{rate}, 60 % of what HAProxy can", fontweight="bold", loc="left")
    axes.set_xlabel("share of requests answered within …, from when each was due; dotted: at 60 % of its own rate")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    return figure


def curve(axes: Any, peer: str, rows: Rows, dotted: bool, theme: Theme) -> None:
    """One proxy's percentiles from the median on, and their spread."""
    percents = [key for key in rows.all[0].values if key.startswith("p") and key[1:2].isdigit()]
    found = [
        (1 / (1 - percent / 100), value)
        for percent in sorted(float(key[1:]) for key in percents)
        if 50 <= percent < 100 and (value := rows.spread(f"p{percent:g}"))
    ]
    places = [place for place, _ in found]
    main = peer == OURS.name
    shade = theme.ours if main else LINES.get(peer, theme.soft)
    style = ":" if dotted else "--" if peer == FLOOR.name else "-"
    axes.plot(
        places,
        [value.median / 1000 for _, value in found],
        style,
        color=shade,
        linewidth=2.6 if main else 1.5,
        label=f"{peer} (less)" if dotted else peer,
        zorder=3 if main else 2,
    )
    if not dotted:
        low, high = [value.low / 1000 for _, value in found], [value.high / 1000 for _, value in found]
        axes.fill_between(places, low, high, color=shade, alpha=0.08, linewidth=0)


def idle(results: Results, theme: Theme) -> Any:
    """KiB a connection."""
    found = spreads(results.part("idle"), "kib")
    figure, axes = plt.subplots(figsize=(8.6, 0.46 * len(found) + 1.1))
    bars(axes, [(peer, value, f"{value.median:.1f} KiB") for peer, value in found], theme, 1.14)
    axes.set_title("Memory of an idle connection", fontweight="bold", loc="left")
    axes.set_xlabel("KiB of resident memory, 10,000 keep-alive connections open")
    return figure


def bodies(results: Results, theme: Theme) -> Any:
    """Both ways side by side."""
    rows = results.part("bodies")
    figure, both = plt.subplots(1, 2, figsize=(9.6, 0.44 * len(rows.peers()) + 1.2))
    for axes, way, said in zip(both, ("down", "up"), ("to the client", "from the client"), strict=True):
        found = spreads(rows.at(way), "cpu")
        bars(axes, [(peer, value, f"{value.median:,.0f}") for peer, value in found], theme, 1.24)
        axes.set_title(f"1 MiB bodies {said}", fontweight="bold", fontsize=10, loc="left")
        axes.set_xlabel("CPU ms per GiB")
    return figure


def scaling(results: Results, theme: Theme) -> Any:
    """What more rules, routes and connections do to a request."""
    figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.2), sharey=True)
    most = 0.0
    for axes, part in zip(panels, ("rules", "routes", "connections"), strict=True):
        rows = results.part(part)
        for peer in ordered(rows):
            mine = rows.of(peer)
            found = [(int(setting), value) for setting in mine.settings() if (value := mine.at(setting).spread("cpu"))]
            found.sort()
            most = max([most, *(value.high for _, value in found)])
            places = [place for place, _ in found]
            main = peer == OURS.name
            shade = theme.ours if main else LINES.get(peer, theme.soft)
            axes.fill_between(
                places,
                [value.low for _, value in found],
                [value.high for _, value in found],
                color=shade,
                alpha=0.12,
                linewidth=0,
            )
            axes.plot(
                places,
                [value.median for _, value in found],
                "o-",
                color=shade,
                label=peer,
                markersize=4.5,
                linewidth=2.2 if main else 1.4,
            )
        axes.set(xscale="log", xlabel=part)
        axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.minorticks_off()
        axes.grid(alpha=0.25)
    panels[0].set(ylabel="CPU µs per request", ylim=(0, most * 1.06))
    panels[0].set_title("More of everything", fontweight="bold", loc="left")
    if len(panels[2].lines) > 1:
        panels[2].legend(frameon=False, fontsize=8)
    return figure
