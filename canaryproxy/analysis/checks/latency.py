"""The latency check: is the canary slower than stable?"""

import math

from canaryproxy.analysis import wording
from canaryproxy.analysis.cohorts import Pair
from canaryproxy.analysis.finding import SHOWN, Finding, SampleSizes, comparison_of, current_verdict, until_proven
from canaryproxy.analysis.spec import Action, LatencySpec
from canaryproxy.analysis.stats import intervals
from canaryproxy.analysis.stats.eprocess import Parts, restore_parts, snapshots
from canaryproxy.analysis.stats.rank_tests import LAST, StableHistory, faster, no_slower, slower
from canaryproxy.model.document import Document, counts, items, pairs, plain, real, whole
from canaryproxy.telemetry.record.histogram import quantile

# A canary is proven no slower if it is proven slower by less than 19 % and the floor.
PROVEN = 1.19

# Rare bets save CPU; under suspicion the time to detection matters more.
# Looks between two bets without suspicion.
PATIENT = 5

# Evidence from which every look is bet on.
ALERT = 3.0

# Seconds after which a request without a response counts as the slowest: lower and upper limit.
LEAST_WAIT, LONGEST_WAIT = 2, 30

# That wait, as a multiple of stable's 99.9 % quantile.
AHEAD = 2.0

# Seconds that a request without a response has in histograms that are shown.
HANGING = 60.0


class LatencyCheck:
    """Latencies of requests, cohort by cohort. `pace` is the number of canary requests per second."""

    name = "latency"
    action: Action = "rollback"

    def __init__(self, spec: LatencySpec, threshold: float, past: StableHistory) -> None:
        self.dry_run = spec.dry_run
        self._threshold = threshold
        self._past = past
        self.pace = 0.0
        self._slower = slower(past, spec.tolerance, spec.floor)
        self._sound = no_slower(past, max(PROVEN, spec.tolerance), spec.floor)
        self._faster = faster(past, spec.tolerance, spec.floor)
        self._waiting: Pair = ({}, {})
        self._looks = 0
        self._here: Pair = ({}, {})
        self._judged = 0

    def __repr__(self) -> str:
        return f"<LatencyCheck: {self._slower!r}>"

    @property
    def harm(self) -> float:
        """Evidence that the canary is slower."""
        return self._slower.value

    @property
    def proof(self) -> float:
        """Evidence that the canary is no slower."""
        return self._sound.value

    @property
    def wait(self) -> int:
        """Seconds after which a request without a response counts as the slowest."""
        longest = self._past.slowest
        return LEAST_WAIT if longest is None else min(max(math.ceil(AHEAD * longest), LEAST_WAIT), LONGEST_WAIT)

    def file(self, pair: Pair) -> None:
        """Add the latencies of a closed cohort."""
        for mine, theirs, shown in zip(self._waiting, pair, self._here, strict=True):
            for bucket, count in theirs.items():
                mine[bucket] = mine.get(bucket, 0) + count
                shown[bucket] = shown.get(bucket, 0) + count
        self._judged += sum(pair[0].values())

    def look(self, *, dispersion: float = 1.0) -> None:
        """Bet on the added latencies, at every fifth look or under suspicion."""
        self._looks += 1
        canary, stable = self._waiting
        if not canary or not stable or (self._looks % PATIENT and self.harm < ALERT):
            return
        self.drop()
        for test in (self._slower, self._sound, self._faster):
            test.bet(canary, stable, dispersion=dispersion)
        self._past.add(stable)

    def drop(self) -> None:
        """Forget latencies that are not bet on yet."""
        self._waiting = ({}, {})

    def step(self) -> None:
        """The weight has changed: counts start over, evidence does not."""
        self._here = ({}, {})

    @property
    def _parts(self) -> Parts:
        return {"slower": self._slower, "sound": self._sound, "faster": self._faster}

    def snapshot(self) -> Document:
        """As plain data. The past of stable is not part of it: it outlives the canary."""
        return {
            **snapshots(self._parts),
            "waiting": [pairs(side) for side in self._waiting],
            "here": [pairs(side) for side in self._here],
            "looks": self._looks,
            "judged": self._judged,
            "pace": plain(self.pace),
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        restore_parts(self._parts, data)
        self._waiting, self._here = _pair(data["waiting"]), _pair(data["here"])
        self._looks, self._judged = whole(data["looks"]), whole(data["judged"])
        self.pace = real(data.get("pace", 0.0))

    def shown(self) -> tuple[dict[int, int], dict[int, int]]:
        """Histograms of both versions at this weight, on the finer scale of `telemetry.record.histogram`."""
        top = math.floor(math.log2(HANGING) * 32)
        canary, stable = (
            {top if bucket == LAST else bucket << 1: count for bucket, count in side.items()} for side in self._here
        )
        return canary, stable

    def finding(self) -> Finding:
        """The present finding."""
        canary, stable = self.shown()
        samples = SampleSizes(sum(canary.values()), sum(stable.values()))
        means = intervals.mean_ratio(canary, stable)
        better, threshold = self._faster.value, self._threshold
        return Finding(
            name=self.name,
            verdict=current_verdict(self.harm, threshold, seen=samples.canary > 0),
            sentence=self._sentence(canary, stable, means),
            comparison=comparison_of(self.harm, better, min(threshold, SHOWN)) if samples.canary else None,
            canary=quantile(canary, 0.95),
            stable=quantile(stable, 0.95),
            ratio=None if means is None else means[0],
            interval=None if means is None else means[1:],
            unit="request",
            samples=samples,
            evidence=self.harm,
            threshold=threshold,
            better=better,
            proof=self.proof,
            proof_threshold=SHOWN,
            missing=until_proven("no slower", self.proof, self._judged, "request", self.pace),
            dry_run=self.dry_run,
        )

    def _sentence(
        self, canary: dict[int, int], stable: dict[int, int], means: tuple[float, float, float] | None
    ) -> str:
        if not canary or not stable:
            return "no latency of both versions was judged yet"
        slow_c, slow_s = (wording.seconds(quantile(side, 0.95) or 0.0) for side in (canary, stable))
        words = f"95 % of the canary's requests took at most {slow_c}, of stable's {slow_s}"
        if means is not None:
            words += f"; {wording.times(means[0], means[1:], 'the mean')}"
        return f"{words}, {wording.evidence(self.harm, self._threshold)}"


def _pair(data: object) -> Pair:
    canary, stable = items(data)
    return counts(canary), counts(stable)
