"""Goals: do the canary's users, or its requests, reach them as often, and are their events worth as much?"""

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import SHOWN, Comparison, Finding, SampleSizes, comparison_of, current_verdict
from canaryproxy.analysis.spec import Action, GoalSpec, Unit
from canaryproxy.analysis.stats import intervals
from canaryproxy.analysis.stats.eprocess import EDetector, even_weights
from canaryproxy.analysis.stats.rate_tests import HIGHER, NOTHING, Block, LowerRate, log_relative
from canaryproxy.analysis.stats.value_tests import LowerValues, ValueBlock
from canaryproxy.model.document import Document, counts, items, pairs, plains, reals
from canaryproxy.telemetry.record.histogram import value_bucket, value_of

ENOUGH_EVENTS = 50
"""Events of stable from which a cap for values is read."""

CAP_QUANTILE = 0.999

MINIMUM = 1000
"""Units of each version before an absent difference is worth telling."""


class GoalCheck:
    """One goal. Values are judged beside the count where its events carry numbers."""

    def __init__(self, spec: GoalSpec, threshold: float, unit: Unit) -> None:
        self.name = f"goal:{spec.goal}"
        self.goal = spec.goal
        self.action: Action = spec.on_failure
        self.dry_run = spec.dry_run
        self.unit: Unit = unit
        self._spec = spec
        self._threshold = threshold
        self._fewer = LowerRate(spec.tolerance)
        self._more = EDetector(even_weights(len(HIGHER)))
        self._less, self._richer = LowerValues(spec.tolerance), LowerValues(spec.tolerance)
        self._past: dict[int, int] = {}
        self._carried = NOTHING
        self._values: tuple[list[float], list[float]] = ([], [])
        self._here = NOTHING
        self._worth = [0.0, 0.0]
        self._squares = [0.0, 0.0]

    def __repr__(self) -> str:
        return f"<GoalCheck {self.goal}: {self._fewer!r}>"

    @property
    def harm(self) -> float:
        """Evidence that the canary brings less: fewer events, or, half of it, less of value."""
        if not self._spec.valued:
            return self._fewer.value
        return (self._fewer.value + self._less.value) / 2

    @property
    def gain(self) -> float:
        """Evidence that it brings more."""
        return (self._more.value + self._richer.value) / 2 if self._spec.valued else self._more.value

    @property
    def cap(self) -> float | None:
        """The value above which a greater one counts no more: as configured, or what stable's events seldom exceed."""
        if self._spec.cap is not None:
            return self._spec.cap
        total = sum(self._past.values())
        if total < ENOUGH_EVENTS:
            return None
        left = CAP_QUANTILE * total
        for bucket in sorted(self._past):
            left -= self._past[bucket]
            if left <= 0:
                return value_of(bucket) or None
        return None

    def look(self, units: Block, values: tuple[list[float], list[float]], shown: Block | None = None) -> None:
        """Units of both versions in this look, those of them with an event, and their values. `shown` has the units
        that are new, where they may be in many looks.
        """
        self._here += units if shown is None else shown
        for side, found in enumerate(values):
            self._worth[side] += sum(found)
            self._squares[side] += sum(one * one for one in found)
        block = self._carried + units
        for mine, found in zip(self._values, values, strict=True):
            mine.extend(found)
        if not block.whole:
            self._carried = block
            return
        self._carried = NOTHING
        self._fewer.bet(block)
        self._more.bet([log_relative(block, one, self._spec.tolerance) for one in HIGHER])
        if self._spec.valued:
            self._bet_values(block)

    def _bet_values(self, block: Block) -> None:
        cap = self.cap
        canary, stable = self._values
        self._values = ([], [])
        if cap is not None:
            takings = ValueBlock(block.canary, canary, block.stable, stable)
            self._less.bet(takings, cap)
            self._richer.bet(takings.exchanged(), cap)
        for value in stable:
            bucket = value_bucket(value)
            self._past[bucket] = self._past.get(bucket, 0) + 1

    def step(self) -> None:
        """The weight has changed: what is shown starts over, evidence does not."""
        self._here = NOTHING
        self._worth = [0.0, 0.0]
        self._squares = [0.0, 0.0]
        self._carried = NOTHING

    def snapshot(self) -> Document:
        """What it has seen and shown, as plain data."""
        return {
            "fewer": self._fewer.snapshot(),
            "more": self._more.snapshot(),
            "less": self._less.snapshot(),
            "richer": self._richer.snapshot(),
            "past": pairs(self._past),
            "carried": self._carried.snapshot(),
            "values": [plains(side) for side in self._values],
            "here": self._here.snapshot(),
            "worth": plains(self._worth),
            "squares": plains(self._squares),
        }

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self._fewer.restore(data["fewer"])
        self._more.restore(data["more"])
        self._less.restore(data["less"])
        self._richer.restore(data["richer"])
        self._past = counts(data["past"])
        self._carried, self._here = Block.restored(data["carried"]), Block.restored(data["here"])
        canary, stable = items(data["values"])
        self._values = reals(canary), reals(stable)
        self._worth, self._squares = reals(data["worth"], 2), reals(data["squares"], 2)

    def finding(self) -> Finding:
        """What it says now."""
        here = self._here
        canary, stable = (_per(self._amount(side), units) for side, units in ((0, here.canary), (1, here.stable)))
        seen = (int(here.canary_failed), int(here.canary)), (int(here.stable_failed), int(here.stable))
        interval = self._interval(seen)
        return Finding(
            name=self.name,
            verdict=current_verdict(self.harm, self._threshold, seen=self._here.whole),
            sentence=self._sentence(canary, stable, interval),
            comparison=self._comparison(),
            canary=canary,
            stable=stable,
            ratio=canary / stable if canary is not None and stable else None,
            interval=interval,
            unit=self.unit,
            samples=SampleSizes(seen[0][1], seen[1][1]),
            evidence=self.harm,
            threshold=self._threshold,
            better=self.gain,
            missing=self._missing(),
            action=self.action,
            dry_run=self.dry_run,
        )

    def _interval(self, seen: tuple[tuple[int, int], tuple[int, int]]) -> tuple[float, float | None] | None:
        if not self._spec.valued:
            fit = all(count for _, count in seen) and all(hits <= count for hits, count in seen)
            return intervals.ratio(*seen) if fit else None
        if min(hits for hits, _ in seen) < intervals.FEWEST or min(count for _, count in seen) < 1:
            return None
        canary, stable = (self._moments(side, count) for side, (_, count) in enumerate(seen))
        return intervals.ratio_of_means(canary, stable)[1:] if canary[1] > 0 and stable[1] > 0 else None

    def _moments(self, side: int, units: int) -> intervals.Moments:
        mean = self._worth[side] / units
        return units, mean, max(self._squares[side] / units - mean * mean, 0.0)

    def _amount(self, side: int) -> float:
        if self._spec.valued:
            return self._worth[side]
        return self._here.stable_failed if side else self._here.canary_failed

    def _comparison(self) -> Comparison | None:
        return comparison_of(self.harm, self.gain) if self._here.whole else None

    def _missing(self) -> str:
        short = MINIMUM - min(self._here.canary, self._here.stable)
        if short <= 0 or self.harm >= SHOWN:
            return ""
        return f"differences are seldom seen before {wording.approximate(short)} more {self.unit}s of each version"

    def _sentence(self, canary: float | None, stable: float | None, interval: tuple[float, float | None] | None) -> str:
        here = self._here
        if canary is None or stable is None:
            return f"no {self.unit} of both versions was seen yet"
        if self._spec.valued:
            text = (
                f"{self.goal}: {wording.number(canary)} per {self.unit} of the canary ({here.canary:,.0f}), "
                f"{wording.number(stable)} of stable ({here.stable:,.0f})"
            )
        else:
            text = (
                f"{self.goal}: {here.canary_failed:,.0f} of the canary's {here.canary:,.0f} {self.unit}s, "
                f"{here.stable_failed:,.0f} of stable's {here.stable:,.0f}"
            )
        if stable:
            text += f"; {wording.times(canary / stable, interval, 'as much' if self._spec.valued else 'the rate')}"
        return f"{text}, {wording.evidence(self.harm, self._threshold)}"


def _per(amount: float, units: float) -> float | None:
    return amount / units if units else None
