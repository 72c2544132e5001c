"""The hard limit: however little is known, a canary that fails so much of its last requests is taken back at once. It
counts requests whatever the unit of evidence is, and stands down while stable fails as well: then it is the world that
is ill.
"""

from collections import deque

from canaryproxy.analysis import words
from canaryproxy.analysis.finding import Finding, Samples, Verdict
from canaryproxy.analysis.rates import NOTHING, Block
from canaryproxy.analysis.spec import Action, HardLimit

REACH = 60
"""Looks that are looked back over to gather enough requests."""

BOTH = 0.5
"""It acts only while stable's rate is below this many times the canary's."""


class HardLimitCheck:
    """The last requests of both versions, look by look."""

    name = "limit:error_rate"
    action: Action = "rollback"
    dry_run = False

    def __init__(self, spec: HardLimit) -> None:
        self._spec = spec
        self._looks: deque[Block] = deque([NOTHING], maxlen=REACH)
        self._said: Block | None = None

    def __repr__(self) -> str:
        return f"<HardLimitCheck over {len(self._looks)} looks>"

    def count(self, block: Block) -> None:
        """Requests that ended since the last call."""
        self._looks[-1] += block
        if block.canary_failed:
            recent = self.recent()
            if self._beyond(recent):
                self._said = recent

    def look(self) -> None:
        """A second has passed."""
        self._looks.append(NOTHING)

    def recent(self) -> Block:
        """The latest looks that hold enough of the canary's requests, or all that are kept."""
        found = NOTHING
        for block in reversed(self._looks):
            found += block
            if found.canary >= self._spec.min_requests:
                break
        return found

    def _beyond(self, block: Block) -> bool:
        if block.canary < self._spec.min_requests:
            return False
        rate = block.canary_failed / block.canary
        stable = block.stable_failed / block.stable if block.stable else 0.0
        return rate >= self._spec.error_rate and stable < BOTH * rate

    @property
    def failed(self) -> bool:
        """Whether it was passed, once."""
        return self._said is not None

    def finding(self) -> Finding:
        """What it says now."""
        block = self._said or self.recent()
        verdict: Verdict = "fail" if self.failed else "pass"
        rate = block.canary_failed / block.canary if block.canary else None
        return Finding(
            name=self.name,
            verdict=verdict,
            sentence=f"canary failed {block.canary_failed:,.0f} of its last {words.some(int(block.canary), 'request')} "
            f"(limit {words.percent(self._spec.error_rate)} of at least {self._spec.min_requests:,}), "
            f"stable {block.stable_failed:,.0f} of {block.stable:,.0f}",
            canary=rate,
            stable=block.stable_failed / block.stable if block.stable else None,
            unit="request",
            samples=Samples(int(block.canary), int(block.stable)),
            evidence=rate or 0.0,
            threshold=self._spec.error_rate,
        )
