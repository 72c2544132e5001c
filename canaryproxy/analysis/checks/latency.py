"""Latency: does the canary take longer than stable?"""

import math

from canaryproxy.analysis import wording
from canaryproxy.analysis.cohorts import Pair
from canaryproxy.analysis.finding import SHOWN, Finding, SampleSizes, comparison_of, current_verdict, until_proven
from canaryproxy.analysis.spec import Action, LatencySpec
from canaryproxy.analysis.stats import intervals
from canaryproxy.analysis.stats.rank_tests import LAST, Faster, NoSlower, Slower, StableHistory
from canaryproxy.model.document import Document, counts, items, pairs, plain, real, whole
from canaryproxy.telemetry.record.histogram import quantile

PROVEN = 1.19
"""A canary is proven no slower where it is shown to be within 19 % and the floor."""

PATIENT = 5
"""Looks between two bets while nothing is suspicious."""

ALERT = 3.0
"""Evidence from which every look is bet on."""

LEAST_WAIT, LONGEST_WAIT = 2, 30
"""Seconds that a request without a response is waited for before it counts as the slowest, at least and at most."""

AHEAD = 2.0
"""Times stable's 99.9 % that it is waited for."""

HANGING = 60.0
"""Seconds that a request without a response is shown with."""


class LatencyCheck:
    """Latencies of requests, cohort by cohort. `pace` is how many requests of the canary come in a second."""

    name = "latency"

    def __init__(self, spec: LatencySpec, threshold: float, past: StableHistory) -> None:
        self.dry_run = spec.dry_run
        self.action: Action = "rollback"
        self._spec = spec
        self._threshold = threshold
        self._past = past
        self.pace = 0.0
        self._slower = Slower(past, spec.tolerance, spec.floor)
        self._sound = NoSlower(past, max(PROVEN, spec.tolerance), spec.floor)
        self._faster = Faster(past, spec.tolerance, spec.floor)
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
        """Evidence that it is not."""
        return self._sound.value

    @property
    def wait(self) -> int:
        """Seconds after which a request that has no response counts as the slowest there are."""
        longest = self._past.slowest
        return LEAST_WAIT if longest is None else min(max(math.ceil(AHEAD * longest), LEAST_WAIT), LONGEST_WAIT)

    def file(self, pair: Pair) -> None:
        """Latencies of a cohort that is closed."""
        for mine, theirs, shown in zip(self._waiting, pair, self._here, strict=True):
            for bucket, count in theirs.items():
                mine[bucket] = mine.get(bucket, 0) + count
                shown[bucket] = shown.get(bucket, 0) + count
        self._judged += sum(pair[0].values())

    def look(self, *, dispersion: float = 1.0) -> None:
        """Bet on what was filed, now and then."""
        self._looks += 1
        canary, stable = self._waiting
        if not canary or not stable or (self._looks % PATIENT and self.harm < ALERT):
            return
        self._waiting = ({}, {})
        for one in (self._slower, self._sound, self._faster):
            one.bet(canary, stable, dispersion=dispersion)
        self._past.add(stable)

    def drop(self) -> None:
        """Forget what was filed and not yet bet on."""
        self._waiting = ({}, {})

    def step(self) -> None:
        """The weight has changed: what is shown starts over, evidence does not."""
        self._here = ({}, {})

    def snapshot(self) -> Document:
        """As plain data. Stable's past is not part of it: it outlives the canary."""
        return {
            "slower": self._slower.snapshot(),
            "sound": self._sound.snapshot(),
            "faster": self._faster.snapshot(),
            "waiting": [pairs(side) for side in self._waiting],
            "here": [pairs(side) for side in self._here],
            "looks": self._looks,
            "judged": self._judged,
            "pace": plain(self.pace),
        }

    def restore(self, data: Document) -> None:
        """Go on from there. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing like it."""
        self._slower.restore(data["slower"])
        self._sound.restore(data["sound"])
        self._faster.restore(data["faster"])
        self._waiting, self._here = _pair(data["waiting"]), _pair(data["here"])
        self._looks, self._judged = whole(data["looks"]), whole(data["judged"])
        self.pace = real(data.get("pace", 0.0))

    def shown(self) -> tuple[dict[int, int], dict[int, int]]:
        """Histograms of both versions on the finer scale of `telemetry.histogram`, for what is shown of them."""
        top = math.floor(math.log2(HANGING) * 32)
        canary, stable = (
            {top if bucket == LAST else bucket << 1: count for bucket, count in side.items()} for side in self._here
        )
        return canary, stable

    def finding(self) -> Finding:
        """What it says now."""
        canary, stable = self.shown()
        samples = SampleSizes(sum(canary.values()), sum(stable.values()))
        means = intervals.mean_ratio(canary, stable)
        comparison = (
            comparison_of(self.harm, self._faster.value, min(self._threshold, SHOWN)) if samples.canary else None
        )
        return Finding(
            name=self.name,
            verdict=current_verdict(self.harm, self._threshold, seen=samples.canary > 0),
            sentence=self._sentence(canary, stable, means),
            comparison=comparison,
            canary=quantile(canary, 0.95),
            stable=quantile(stable, 0.95),
            ratio=None if means is None else means[0],
            interval=None if means is None else means[1:],
            unit="request",
            samples=samples,
            evidence=self.harm,
            threshold=self._threshold,
            better=self._faster.value,
            proof=self.proof,
            proof_threshold=SHOWN,
            missing=self._missing(),
            dry_run=self.dry_run,
        )

    def _missing(self) -> str:
        """What is still needed for a proof."""
        more = until_proven(self.proof, self._judged)
        return "" if not more else f"to prove it no slower it needs {wording.missing_text(more, 'request', self.pace)}"

    def _sentence(
        self, canary: dict[int, int], stable: dict[int, int], means: tuple[float, float, float] | None
    ) -> str:
        if not canary or not stable:
            return "no latency of both versions was judged yet"
        slow_c, slow_s = (wording.seconds(quantile(side, 0.95) or 0.0) for side in (canary, stable))
        text = f"95 % of the canary's requests took at most {slow_c}, of stable's {slow_s}"
        if means is not None:
            text += f"; {wording.times(means[0], (means[1], means[2]), 'the mean')}"
        return f"{text}, {wording.evidence(self.harm, self._threshold)}"


def _pair(data: object) -> Pair:
    canary, stable = items(data)
    return counts(canary), counts(stable)
