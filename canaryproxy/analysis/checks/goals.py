"""Goal checks: do the canary's users (or requests) reach a goal as often, and are their events worth as much?"""

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import SHOWN, Finding, SampleSizes, comparison_of, current_verdict
from canaryproxy.analysis.spec import Action, GoalSpec, Unit
from canaryproxy.analysis.stats import intervals
from canaryproxy.analysis.stats.eprocess import EDetector, Parts, even_weights, restore_parts, snapshots
from canaryproxy.analysis.stats.rate_tests import HIGHER, NOTHING, Block, LowerRate, log_relative
from canaryproxy.analysis.stats.value_tests import LowerValues, ValueBlock
from canaryproxy.model.document import Document, counts, items, pairs, plains, reals
from canaryproxy.telemetry.record.histogram import value_bucket, value_of

# Events of stable that the cap of values needs.
ENOUGH_EVENTS = 50

# Quantile of stable's values that caps them, so that no single event decides.
CAP_QUANTILE = 0.999

# Units of each version from which an absent difference means something.
MINIMUM = 1000


class GoalCheck:
    """One goal. If its events carry values, these are judged beside their number."""

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
        self._worth, self._squares = [0.0, 0.0], [0.0, 0.0]

    def __repr__(self) -> str:
        return f"<GoalCheck {self.goal}: {self._fewer!r}>"

    @property
    def harm(self) -> float:
        """Evidence that the canary brings less: fewer events, or the mean of that and of lower values."""
        if not self._spec.valued:
            return self._fewer.value
        return (self._fewer.value + self._less.value) / 2

    @property
    def gain(self) -> float:
        """Evidence that the canary brings more."""
        return (self._more.value + self._richer.value) / 2 if self._spec.valued else self._more.value

    @property
    def cap(self) -> float | None:
        """The upper limit of values: as specified, or the 99.9 % quantile of stable's values. None if unknown yet."""
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
        """Add a look: units of both versions, units with an event, and values of the events. `shown` has the units that
        are in no earlier look, if units may be in many.
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
        """The weight has changed: counts start over, evidence does not."""
        self._here = self._carried = NOTHING
        self._worth, self._squares = [0.0, 0.0], [0.0, 0.0]

    @property
    def _parts(self) -> Parts:
        return {"fewer": self._fewer, "more": self._more, "less": self._less, "richer": self._richer}

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            **snapshots(self._parts),
            "past": pairs(self._past),
            "carried": self._carried.snapshot(),
            "values": [plains(side) for side in self._values],
            "here": self._here.snapshot(),
            "worth": plains(self._worth),
            "squares": plains(self._squares),
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        restore_parts(self._parts, data)
        self._past = counts(data["past"])
        self._carried, self._here = Block.restored(data["carried"]), Block.restored(data["here"])
        canary, stable = items(data["values"])
        self._values = reals(canary), reals(stable)
        self._worth, self._squares = reals(data["worth"], 2), reals(data["squares"], 2)

    def finding(self) -> Finding:
        """The present finding."""
        here = self._here
        amounts = self._worth if self._spec.valued else (here.canary_failed, here.stable_failed)
        canary = amounts[0] / here.canary if here.canary else None
        stable = amounts[1] / here.stable if here.stable else None
        seen = (int(here.canary_failed), int(here.canary)), (int(here.stable_failed), int(here.stable))
        interval = self._interval(seen)
        return Finding(
            name=self.name,
            verdict=current_verdict(self.harm, self._threshold, seen=here.whole),
            sentence=self._sentence(canary, stable, interval),
            comparison=comparison_of(self.harm, self.gain) if here.whole else None,
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

    def _missing(self) -> str:
        short = MINIMUM - min(self._here.canary, self._here.stable)
        if short <= 0 or self.harm >= SHOWN:
            return ""
        return f"differences are seldom seen before {wording.approximate(short)} more {self.unit}s of each version"

    def _sentence(self, canary: float | None, stable: float | None, interval: tuple[float, float | None] | None) -> str:
        here, unit = self._here, self.unit
        if canary is None or stable is None:
            return f"no {unit} of both versions was seen yet"
        if self._spec.valued:
            mine = f"{wording.number(canary)} per {unit} of the canary ({here.canary:,.0f})"
            theirs = f"{wording.number(stable)} of stable ({here.stable:,.0f})"
        else:
            mine = f"{here.canary_failed:,.0f} of the canary's {here.canary:,.0f} {unit}s"
            theirs = f"{here.stable_failed:,.0f} of stable's {here.stable:,.0f}"
        words = f"{self.goal}: {mine}, {theirs}"
        if stable:
            words += f"; {wording.times(canary / stable, interval, 'as much' if self._spec.valued else 'the rate')}"
        return f"{words}, {wording.evidence(self.harm, self._threshold)}"
