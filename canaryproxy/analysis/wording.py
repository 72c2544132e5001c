"""Numbers and judgements as an engineer would say them."""

import math

MANY = 10_000


def number(value: float) -> str:
    """With three digits, or as many as it has before the point."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "no limit"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{number(share * 100)} %"


def seconds(value: float) -> str:
    """A time with a fitting unit."""
    if value < 1:
        return f"{number(value * 1000)} ms"
    if value < 120:
        return f"{number(value)} s"
    return f"{number(value / 60)} min" if value < 7200 else f"{number(value / 3600)} h"


def times(ratio: float, interval: tuple[float, float | None] | None, what: str) -> str:
    """A ratio with where it lies, such as `22 times the rate (95 % interval 9 to 51)`."""
    if interval is None:
        return f"{number(ratio)} times {what}"
    low, high = interval
    reach = f"{number(low)} to {number(high)}" if high is not None else f"{number(low)} and more"
    return f"{number(ratio)} times {what} (95 % interval {reach})"


def evidence(value: float, threshold: float) -> str:
    """Evidence beside what it takes."""
    shown = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    if value >= 1e6:
        shown = "over a million"
    return f"evidence {shown} {'≥' if value >= threshold else 'of'} {number(threshold)}"


def counted(count: int, unit: str) -> str:
    """A count of units."""
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


def approximate(count: float) -> str:
    """A count that is only guessed: two digits of it."""
    if count < 100:
        return f"{math.ceil(count):,}"
    scale = 10 ** (math.floor(math.log10(count)) - 1)
    return f"{math.ceil(count / scale) * scale:,}"


def missing_text(count: float, unit: str, pace: float) -> str:
    """So many more units of the canary, and how long that takes at `pace` units a second (0 where that is unknown)."""
    units = f"about {approximate(count)} more canary {unit}s"
    return f"{units}, about {seconds(float(f'{count / pace:.2g}'))}" if pace else units
