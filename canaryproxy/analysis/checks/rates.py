"""Rate checks: are more of the canary's requests (or users) affected than of stable's? Errors and 4xx responses."""

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import SHOWN, Finding, SampleSizes, comparison_of, current_verdict, until_proven
from canaryproxy.analysis.spec import Action, ClientErrors, ErrorSpec, Unit
from canaryproxy.analysis.stats import intervals
from canaryproxy.analysis.stats.eprocess import Parts, restore_parts, snapshots
from canaryproxy.analysis.stats.rate_tests import NOTHING, Block, HigherRate, LowerRate, NotHigherRate
from canaryproxy.model.document import Document, plain, real, text

# A canary is proven no worse if its rate is proven below 1.5 times stable's, or below 0.5 %.
PROVEN_RATIO = 1.5
PROVEN_BOUND = 0.005

# (failed, units) of canary and stable.
Counts = tuple[tuple[int, int], tuple[int, int]]


class RateCheck:
    """The rate of one kind of failure. `failed` is the verb of the sentence, and `threshold` the evidence at which the
    check fails. `note` is added to the sentence; `pace` is the number of canary units per second.
    """

    def __init__(
        self,
        name: str,
        failed: str,
        spec: ErrorSpec | ClientErrors,
        threshold: float,
        *,
        action: Action = "rollback",
        unit: Unit = "request",
    ) -> None:
        self.name = name
        self.action: Action = action
        self.dry_run = spec.dry_run
        self.unit: Unit = unit
        self.note = ""
        self.pace = 0.0
        self._failed = failed
        self._threshold = threshold
        self._worse = HigherRate(spec.tolerance, spec.floor)
        self._sound = NotHigherRate(max(PROVEN_RATIO, spec.tolerance), max(PROVEN_BOUND, spec.floor))
        self._better = LowerRate(spec.tolerance)
        self._looked = -1
        self._all = NOTHING
        self._here = NOTHING

    def __repr__(self) -> str:
        return f"<RateCheck {self.name}: {self._worse!r}>"

    @property
    def harm(self) -> float:
        """Evidence that the canary is worse."""
        return self._worse.value

    @property
    def proof(self) -> float:
        """Evidence that the canary is no worse."""
        return self._sound.value

    def bet(self, block: Block, second: int, *, fresh: Block | None = None, dispersion: float = 1.0) -> None:
        """Bet on a block of this second. `fresh` has units that are in no earlier block, if units may be in many."""
        look = second != self._looked
        self._looked = second
        units = None if fresh is None else fresh.canary
        self._worse.bet(block, units, look=look, dispersion=dispersion)
        self._sound.bet(block, units, dispersion=dispersion)
        self._better.bet(block, look=look, dispersion=dispersion)
        self.seen(block if fresh is None else fresh)

    def seen(self, block: Block) -> None:
        """Add a block to the counts of the finding."""
        self._here += block
        self._all += block

    def step(self) -> None:
        """The weight has changed: counts start over, evidence does not."""
        self._here = NOTHING

    @property
    def _parts(self) -> Parts:
        return {"worse": self._worse, "sound": self._sound, "better": self._better}

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            **snapshots(self._parts),
            "all": self._all.snapshot(),
            "here": self._here.snapshot(),
            "pace": plain(self.pace),
            "note": self.note,
        }

    def restore(self, data: Document) -> None:
        """Continue from a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        restore_parts(self._parts, data)
        self._looked = -1
        self._all, self._here = Block.restored(data["all"]), Block.restored(data["here"])
        self.pace, self.note = real(data.get("pace", 0.0)), text(data.get("note", ""))

    def finding(self) -> Finding:
        """The present finding."""
        shown = self._here if self._here.canary else self._all
        counts = (int(shown.canary_failed), int(shown.canary)), (int(shown.stable_failed), int(shown.stable))
        (failed_c, canary), (failed_s, stable) = counts
        rate_c, rate_s = failed_c / canary if canary else None, failed_s / stable if stable else None
        # Failures may outnumber the units of a step, whose users were seen in an earlier one: a share is at most 1.
        capped = (min(failed_c, canary), canary), (min(failed_s, stable), stable)
        interval = intervals.ratio(*capped) if canary and stable else None
        ratio = rate_c / rate_s if rate_c is not None and rate_s else None
        return Finding(
            name=self.name,
            verdict=current_verdict(self.harm, self._threshold, seen=canary > 0),
            sentence=self._sentence(counts, ratio, interval),
            comparison=comparison_of(self.harm, self._better.value, min(self._threshold, SHOWN)) if canary else None,
            canary=rate_c,
            stable=rate_s,
            ratio=ratio,
            interval=interval,
            unit=self.unit,
            samples=SampleSizes(canary, stable),
            evidence=self.harm,
            threshold=self._threshold,
            better=self._better.value,
            proof=self.proof,
            proof_threshold=SHOWN,
            missing=until_proven("no worse", self.proof, self._all.canary, self.unit, self.pace),
            action=self.action,
            dry_run=self.dry_run,
        )

    def _sentence(self, counts: Counts, ratio: float | None, interval: tuple[float, float | None] | None) -> str:
        (failed_c, canary), (failed_s, stable) = counts
        if not canary:
            return f"no {self.unit} of the canary was judged yet"
        units = wording.counted(canary, self.unit)
        words = f"canary {self._failed} {failed_c:,} of {units}, stable {failed_s:,} of {stable:,}"
        if ratio is not None and failed_c:
            words += f"; {wording.times(ratio, interval, 'the rate')}"
        words = f"{words}, {wording.evidence(self.harm, self._threshold)}"
        return f"{words}; {self.note}" if self.note else words
