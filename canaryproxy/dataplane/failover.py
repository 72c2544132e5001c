"""The step after a failure of an exchange (`next_step`), and its target (`FailoverPlan`). Pure.

The steps are tried in this order, each only if it is safe:

* RETRY: the keep-alive race (RFC 9112 9.3.1). The endpoint closed an idle connection while a request was on its way.
  The request goes to the same endpoint on a new connection, and no version is charged.
* FALLBACK: nothing of the request was sent, or its connection broke before the first byte of a response and it may be
  sent twice. It goes to another endpoint of the version, then to the fallback version.
* SHIELD: any failure of a canary, if nothing of a response was delivered to the client, the request is safe and there
  is budget left. Stable answers.
* GIVE_UP: anything else may have been executed, or the client has part of a response. The client gets the failure.

A version is charged with its first failure, whichever version answers in the end. Other endpoints, or the other
version, repair what the client sees and never what is counted.
"""

from enum import Enum, IntEnum

from canaryproxy.model.decision import Decision, VersionChoice
from canaryproxy.model.failure import Failure, Outcome
from canaryproxy.model.fields import SAFE
from canaryproxy.model.table import Endpoint
from canaryproxy.routing.balancing import Loads, pick_untried
from canaryproxy.routing.route_index import RouteIndex
from canaryproxy.routing.split import Rng

# RFC 9110 9.2.2; TRACE is rejected earlier.
IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))

# How the other version takes over: no connection could be opened, the attempt failed, or the request was taken back
# from a version that had done nothing wrong.
FALLBACK = "fallback"
SHIELD = "shield"
WITHDRAWN = "withdrawn"

# Endpoints of one version tried for one request: each may cost a connect timeout.
MAX_ATTEMPTS = 3

OPENING_FAILURES = (Failure.CONNECT_REFUSED, Failure.CONNECT_TIMEOUT, Failure.CONNECT_UNSAFE)
# Failures before a byte was sent: safe to go on from, whatever the request is.
CONNECT_FAILURES = (Failure.NO_ENDPOINT, *OPENING_FAILURES)

# The connection ended. All other failures on an open connection are a response of the endpoint, or silence.
CLOSED = (Failure.UPSTREAM_RESET, Failure.RESPONSE_CUT)

# Failures that count towards an ejection.
EJECTING_FAILURES = (*CLOSED, *OPENING_FAILURES, Failure.RESPONSE_TIMEOUT)


class FailoverStep(IntEnum):
    """The steps after a failure, in the order of preference."""

    RETRY = 1
    FALLBACK = 2
    SHIELD = 3
    GIVE_UP = 4


class Sent(Enum):
    """How far an attempt had come when it failed."""

    NOTHING = "no connection was opened"
    RACED = "the request was sent on a connection that had served another one, and nothing came back"
    REQUEST = "the request was sent on a new connection, and nothing came back"
    ANSWERED = "a byte of the response came"


class Repeatable(IntEnum):
    """Whether a request that is held completely, with no response delivered, may be sent again."""

    NEVER = 0
    IDEMPOTENT = 1
    """After a lost connection, where it is not known whether the request was executed (RFC 9110 9.2.2)."""
    SAFE = 2
    """After any failure: it changes nothing (RFC 9110 9.2.1), or nothing of it was ever sent."""


def repeatable(method: bytes) -> Repeatable:
    """Whether a request with this method may be sent again, if nothing else forbids it."""
    if method in SAFE:
        return Repeatable.SAFE
    return Repeatable.IDEMPOTENT if method in IDEMPOTENT else Repeatable.NEVER


def next_step(
    failure: Failure, sent: Sent, budget: bool, may: Repeatable, beyond: FailoverStep | None = None
) -> FailoverStep:
    """The next step after `failure` of an attempt that had come as far as `sent`.

    `budget`: the route has a shield with a budget left; `may`: whether the request may be sent again; `beyond`: the
    step that was not possible (not allowed by the table, or without an endpoint): only later ones are considered.
    """
    lost = failure in CLOSED and sent in (Sent.RACED, Sent.REQUEST) and may is not Repeatable.NEVER
    shieldable = failure.origin == "upstream" and failure is not Failure.NO_ENDPOINT
    possible = (
        (FailoverStep.RETRY, lost and sent is Sent.RACED),
        (FailoverStep.FALLBACK, lost or sent is Sent.NOTHING),
        (FailoverStep.SHIELD, shieldable and shields(budget, may)),
    )
    return next((step for step, holds in possible if holds and (beyond is None or step > beyond)), FailoverStep.GIVE_UP)


def shields(budget: bool, may: Repeatable) -> bool:
    """Whether stable may answer instead of a canary that failed, answered with a 5xx, or took too long."""
    return budget and may is Repeatable.SAFE


class FailoverPlan:
    """The further targets of one exchange, created when something fails. `charged` is the outcome counted for the
    decided version, None as long as nothing has failed; `takeover` is how the other version has taken over, empty if it
    has not.
    """

    __slots__ = ("_decision", "_stand_in", "_tried", "charged", "takeover")

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self._tried: list[Endpoint] = []
        self.charged: Outcome | None = None
        self.takeover = ""
        self._stand_in: VersionChoice | None = None

    def __repr__(self) -> str:
        return f"<FailoverPlan of {self._decision!r}: tried {len(self._tried)}, charged {self.charged}>"

    def fall_back(
        self, target: Decision, failure: Failure, index: RouteIndex, loads: Loads, rng: Rng
    ) -> Decision | None:
        """The target after `failure` at `target`, allowed by the table of `index`; None if there is none left.

        Once the other version has taken over, the decided one is not tried again.
        """
        self.charge(failure.outcome)
        if target.endpoint is not None:
            self._tried.append(target.endpoint)
        before = self._decision.version.name
        exhausted = len([one for one in self._tried if one in target.version.endpoints]) >= MAX_ATTEMPTS

        def usable(other: Decision) -> bool:
            over = exhausted and other.version is target.version
            replaced = self.takeover != "" and other.version.name == before
            return not over and not replaced and index.allows(other)

        choice = self._decision.choice
        # With a shield, only connect failures use the fallback version: all others are paid from the shield's budget.
        stand_in = self._stand_in or (choice.fallback if failure in CONNECT_FAILURES or choice.shield is None else None)
        then = pick_untried((choice, stand_in), self._tried, usable, loads, rng)
        if then is not None and then.version.name != before and not self.takeover:
            self.takeover, self._stand_in = FALLBACK, stand_in
            if failure in CONNECT_FAILURES:
                self.charged = Outcome.UNAVAILABLE
        return then

    def behind_shield(self, index: RouteIndex, loads: Loads, rng: Rng) -> Decision | None:
        """Where stable may answer instead of the canary; None if it cannot, or does already."""
        shield = self._decision.choice.shield
        if shield is None or self.takeover:
            return None
        return pick_untried((shield,), self._tried, index.allows, loads, rng)

    def shielded(self, outcome: Outcome | None) -> None:
        """Stable answers; the canary is charged with the outcome that made it necessary."""
        self.charge(outcome)
        self.takeover, self._stand_in = SHIELD, self._decision.choice.shield

    def withdraw(self, target: Decision, index: RouteIndex, loads: Loads, rng: Rng) -> Decision | None:
        """Where stable answers a request that is taken back from `target`, if it can.

        The decision is ours: the version is charged with its earlier failure, else with an outcome that it is not
        judged by.
        """
        entry = index.by_name.get(target.route.name)
        if entry is None or target.version.name == entry.stable.version.name:
            return None
        then = pick_untried((entry.stable,), self._tried, index.allows, loads, rng)
        if then is not None:
            self.charge(Outcome.OVERFLOW)
            self.takeover, self._stand_in = self.takeover or WITHDRAWN, entry.stable
        return then

    def charge(self, outcome: Outcome | None) -> None:
        """Count this as the decided version's outcome, unless it has failed before."""
        if self.charged is None:
            self.charged = outcome

    def final(self, failure: Failure) -> Failure:
        """The failure that the client gets: a canary without a fallback is unavailable, not broken."""
        alone = self._decision.version.name == "canary" and not self.takeover
        return Failure.CANARY_UNREACHABLE if alone and failure in CONNECT_FAILURES else failure
