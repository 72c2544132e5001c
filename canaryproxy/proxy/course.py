"""Where an exchange goes once an attempt of it came to nothing, and what it is charged with. Pure.

Only made when something fails. A version is charged with its first failure, whoever answers in the end: other
endpoints, or the other version, mend what the client sees and never what is counted.
"""

from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure
from canaryproxy.model.outcome import Outcome
from canaryproxy.model.table import Endpoint
from canaryproxy.routing.balance import Loads, another
from canaryproxy.routing.match import RouteIndex
from canaryproxy.routing.split import Dice

MOST_TRIES = 3
"""Endpoints of one version that are tried for one request: each may cost a connect timeout."""

UNOPENED = (
    Failure.NO_ENDPOINT,
    Failure.CONNECT_REFUSED,
    Failure.CONNECT_TIMEOUT,
    Failure.CONNECT_UNSAFE,
)
"""Failures before a byte was sent: safe to go on from, whatever the request is."""


class Course:
    """`charged` is what the decided version is counted with; `rescued`: the other version has taken over."""

    __slots__ = ("_decision", "_tried", "charged", "rescued")

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self._tried: list[Endpoint] = []
        self.charged: Outcome | None = None
        self.rescued = False

    def __repr__(self) -> str:
        return f"<Course of {self._decision!r}: tried {len(self._tried)}, charged {self.charged}>"

    def after(
        self, target: Decision, failure: Failure, index: RouteIndex, loads: Loads, dice: Dice
    ) -> Decision | None:  # fmt: skip
        """Where to go after `failure` at `target`, as the table of `index` allows now; None to give up."""
        if self.charged is None:
            self.charged = failure.outcome
        if target.endpoint is not None:
            self._tried.append(target.endpoint)
        before = self._decision.version.name
        tired = len([one for one in self._tried if one in target.version.endpoints]) >= MOST_TRIES

        def usable(other: Decision) -> bool:
            over = (tired and other.version is target.version) or (self.rescued and other.version.name == before)
            return not over and index.allows(other)

        then = another(self._decision, self._tried, usable, loads, dice)
        if then is not None and then.version.name != before and not self.rescued:
            self.rescued = True
            if failure in UNOPENED:
                self.charged = Outcome.UNAVAILABLE
        return then

    def verdict(self, failure: Failure) -> Failure:
        """What the client is told at the end: a canary without any stand-in is unavailable, not broken."""
        alone = self._decision.version.name == "canary" and not self.rescued
        return Failure.CANARY_UNREACHABLE if alone and failure in UNOPENED else failure
