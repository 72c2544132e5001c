"""Numbers as text, for the sentences of the judge."""

import math


def number(value: float) -> str:
    """A number with three significant digits, or with all digits before the point."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "no limit"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{number(share * 100)} %"


def seconds(value: float) -> str:
    """A duration with a suitable unit."""
    if value < 1:
        return f"{number(value * 1000)} ms"
    if value < 120:
        return f"{number(value)} s"
    return f"{number(value / 60)} min" if value < 7200 else f"{number(value / 3600)} h"


def times(ratio: float, interval: tuple[float, float | None] | None, what: str) -> str:
    """A ratio with its interval, such as `22 times the rate (95 % interval 9 to 51)`."""
    if interval is None:
        return f"{number(ratio)} times {what}"
    low, high = interval
    reach = f"{number(low)} to {number(high)}" if high is not None else f"{number(low)} and more"
    return f"{number(ratio)} times {what} (95 % interval {reach})"


def evidence(value: float, threshold: float) -> str:
    """Evidence compared with its threshold."""
    shown = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    if value >= 1e6:
        shown = "over a million"
    return f"evidence {shown} {'≥' if value >= threshold else 'of'} {number(threshold)}"


def counted(count: int, unit: str) -> str:
    """A count with its unit."""
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


def approximate(count: float) -> str:
    """An estimated count, rounded up to two digits."""
    if count < 100:
        return f"{math.ceil(count):,}"
    scale = 10 ** (math.floor(math.log10(count)) - 1)
    return f"{math.ceil(count / scale) * scale:,}"


def missing_text(count: float, unit: str, pace: float) -> str:
    """The number of missing units, and how long they take at `pace` units per second (0 if that is unknown)."""
    units = f"about {approximate(count)} more canary {unit}s"
    return f"{units}, about {seconds(float(f'{count / pace:.2g}'))}" if pace else units
