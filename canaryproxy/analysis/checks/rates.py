"""Rates: does something befall more of the canary's requests, or of its users, than of stable's? Errors, 4xx."""

from canaryproxy.analysis import wording
from canaryproxy.analysis.finding import SHOWN, Finding, SampleSizes, comparison_of, current_verdict, until_proven
from canaryproxy.analysis.spec import Action, Unit
from canaryproxy.analysis.stats import intervals
from canaryproxy.analysis.stats.rate_tests import NOTHING, Block, HigherRate, LowerRate, NotHigherRate
from canaryproxy.model.document import Document, plain, real, text

PROVEN_RATIO = 1.5
PROVEN_BOUND = 0.005
"""A canary is proven no worse where its rate is shown to be below 1.5 times stable's, or below 0.5 %."""


class RateCheck:
    """What befalls units. `name` is what it is called, `failed` the verb of the sentence.

    `threshold` is what the evidence is shown against; `action` follows beyond it. `note` is said with what is found.
    `pace` is how many of the canary's units come in a second.
    """

    def __init__(
        self,
        name: str,
        failed: str,
        tolerance: float,
        floor: float,
        threshold: float,
        *,
        action: Action = "rollback",
        unit: Unit = "request",
        dry_run: bool = False,
    ) -> None:
        self.name = name
        self.action: Action = action
        self.dry_run = dry_run
        self.unit: Unit = unit
        self.note = ""
        self.pace = 0.0
        self._failed = failed
        self._threshold = threshold
        self._worse = HigherRate(tolerance, floor)
        self._sound = NotHigherRate(max(PROVEN_RATIO, tolerance), max(PROVEN_BOUND, floor))
        self._better = LowerRate(tolerance)
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
        """Evidence that it is no worse."""
        return self._sound.value

    def bet(self, block: Block, second: int, *, fresh: Block | None = None, dispersion: float = 1.0) -> None:
        """Bet on a block of this second. `fresh` has the units that no earlier block had, where they may be in many."""
        look = second != self._looked
        self._looked = second
        self._worse.bet(block, None if fresh is None else fresh.canary, look=look, dispersion=dispersion)
        self._sound.bet(block, None if fresh is None else fresh.canary, dispersion=dispersion)
        self._better.bet(block, look=look, dispersion=dispersion)
        self.seen(block if fresh is None else fresh)

    def seen(self, block: Block) -> None:
        """Count what is shown."""
        self._here += block
        self._all += block

    def step(self) -> None:
        """The weight has changed: what is shown starts over, evidence does not."""
        self._here = NOTHING

    def snapshot(self) -> Document:
        """As plain data."""
        return {
            "worse": self._worse.snapshot(),
            "sound": self._sound.snapshot(),
            "better": self._better.snapshot(),
            "all": self._all.snapshot(),
            "here": self._here.snapshot(),
            "pace": plain(self.pace),
            "note": self.note,
        }

    def restore(self, data: Document) -> None:
        """Go on from there; the next bet is a look. Raises `ValueError`, `KeyError` or `TypeError` for what is nothing
        like it.
        """
        self._worse.restore(data["worse"])
        self._sound.restore(data["sound"])
        self._better.restore(data["better"])
        self._looked = -1
        self._all, self._here = Block.restored(data["all"]), Block.restored(data["here"])
        self.pace = real(data.get("pace", 0.0))
        self.note = text(data.get("note", ""))

    def finding(self) -> Finding:
        """What it says now."""
        shown = self._here if self._here.canary else self._all
        counts = (int(shown.canary_failed), int(shown.canary)), (int(shown.stable_failed), int(shown.stable))
        (failed_c, canary), (failed_s, stable) = counts
        rate_c, rate_s = _share(failed_c, canary), _share(failed_s, stable)
        interval = intervals.ratio(*_capped(counts)) if canary and stable else None
        ratio = rate_c / rate_s if rate_c is not None and rate_s else None
        comparison = comparison_of(self.harm, self._better.value, min(self._threshold, SHOWN)) if canary else None
        return Finding(
            name=self.name,
            verdict=current_verdict(self.harm, self._threshold, seen=canary > 0),
            sentence=self._sentence(counts, ratio, interval),
            comparison=comparison,
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
            missing=self._missing(),
            action=self.action,
            dry_run=self.dry_run,
        )

    def _missing(self) -> str:
        """What is still needed for a proof."""
        more = until_proven(self.proof, self._all.canary)
        return "" if not more else f"to prove it no worse it needs {wording.missing_text(more, self.unit, self.pace)}"

    def _sentence(
        self,
        counts: tuple[tuple[int, int], tuple[int, int]],
        ratio: float | None,
        interval: tuple[float, float | None] | None,
    ) -> str:
        (failed_c, canary), (failed_s, stable) = counts
        if not canary:
            return f"no {self.unit} of the canary was judged yet"
        counted = wording.counted(canary, self.unit)
        said = f"canary {self._failed} {failed_c:,} of {counted}, stable {failed_s:,} of {stable:,}"
        if ratio is not None and failed_c:
            said += f"; {wording.times(ratio, interval, 'the rate')}"
        said = f"{said}, {wording.evidence(self.harm, self._threshold)}"
        return f"{said}; {self.note}" if self.note else said


def _capped(
    counts: tuple[tuple[int, int], tuple[int, int]],
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Failures may outnumber the units that were judged first; an interval knows no share above one."""
    (a, b), (c, d) = counts
    return (min(a, b), b), (min(c, d), d)


def _share(hits: int, count: int) -> float | None:
    return hits / count if count else None
