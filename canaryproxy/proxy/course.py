"""Where an exchange goes once an attempt of it came to nothing, and what it is charged with. Pure.

Only made when something fails. A version is charged with its first failure, whoever answers in the end: other
endpoints, or the other version, mend what the client sees and never what is counted. On a route with a shield, only a
connection that cannot be opened leads to the fallback; everything else is the shield's, within its budget.
"""

from canaryproxy.model.decision import Decision, Verdict
from canaryproxy.model.failure import Failure
from canaryproxy.model.outcome import Outcome
from canaryproxy.model.table import Endpoint
from canaryproxy.routing.balance import Loads, another
from canaryproxy.routing.match import RouteIndex
from canaryproxy.routing.split import Dice

FALLBACK = "fallback"
SHIELD = "shield"
WITHDRAWN = "withdrawn"
"""How the other version takes over: for want of a connection, for what came of one, or because we took the request back
from a version that had done nothing wrong.
"""

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
    """`charged` is what the decided version is counted with; `rescue` how the other version has taken over, empty as
    long as it has not.
    """

    __slots__ = ("_decision", "_stand_in", "_tried", "charged", "rescue")

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self._tried: list[Endpoint] = []
        self.charged: Outcome | None = None
        self.rescue = ""
        self._stand_in: Verdict | None = None

    def __repr__(self) -> str:
        return f"<Course of {self._decision!r}: tried {len(self._tried)}, charged {self.charged}>"

    def after(
        self, target: Decision, failure: Failure, index: RouteIndex, loads: Loads, dice: Dice
    ) -> Decision | None:  # fmt: skip
        """Where to go after `failure` at `target`, as the table of `index` allows now; None to give up."""
        self.charge(failure.outcome)
        if target.endpoint is not None:
            self._tried.append(target.endpoint)
        before = self._decision.version.name
        tired = len([one for one in self._tried if one in target.version.endpoints]) >= MOST_TRIES

        def usable(other: Decision) -> bool:
            over = (tired and other.version is target.version) or (self.rescue != "" and other.version.name == before)
            return not over and index.allows(other)

        verdict = self._decision.verdict
        stand_in = self._stand_in or (verdict.rescue if failure in UNOPENED or verdict.shield is None else None)
        then = another((verdict, stand_in), self._tried, usable, loads, dice)
        if then is not None and then.version.name != before and not self.rescue:
            self.rescue, self._stand_in = FALLBACK, stand_in
            if failure in UNOPENED:
                self.charged = Outcome.UNAVAILABLE
        return then

    def behind_shield(self, index: RouteIndex, loads: Loads, dice: Dice) -> Decision | None:
        """Where stable may answer in place of the canary; None where it cannot, or does already."""
        shield = self._decision.verdict.shield
        if shield is None or self.rescue:
            return None
        return another((shield,), self._tried, index.allows, loads, dice)

    def shielded(self, outcome: Outcome | None) -> None:
        """Stable answers; the canary is charged with what made it necessary."""
        self.charge(outcome)
        self.rescue, self._stand_in = SHIELD, self._decision.verdict.shield

    def withdrawn(self, target: Decision, index: RouteIndex, loads: Loads, dice: Dice) -> Decision | None:
        """Where stable answers what we take back from `target`, as the table of `index` has it now, if it can.

        The decision is ours: the version is charged with what it did before, else with nothing that it is judged by.
        """
        entry = index.by_name.get(target.route.name)
        if entry is None or target.version.name == entry.stable.version.name:
            return None
        then = another((entry.stable,), self._tried, index.allows, loads, dice)
        if then is not None:
            self.charge(Outcome.OVERFLOW)
            self.rescue, self._stand_in = self.rescue or WITHDRAWN, entry.stable
        return then

    def charge(self, outcome: Outcome | None) -> None:
        """Count this as the decided version's outcome, unless something else went wrong before."""
        if self.charged is None:
            self.charged = outcome

    def verdict(self, failure: Failure) -> Failure:
        """What the client is told at the end: a canary without any stand-in is unavailable, not broken."""
        alone = self._decision.version.name == "canary" and not self.rescue
        return Failure.CANARY_UNREACHABLE if alone and failure in UNOPENED else failure
