"""Stable answers in place of the canary, before the client got a byte: where an attempt failed (the shield), or where
we take the request back ourselves (`withdraw`).

Only what may be sent again is: a request that is still here whole and changes nothing (the shield) or may be repeated
(what we take back), or one of which nothing was sent. The canary is charged with its failures all the same
(`failover`), never with what we decide.
"""

from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure
from canaryproxy.model.message import ResponseHead
from canaryproxy.model.outcome import FAILURES, Outcome
from canaryproxy.proxy.attempts import Attempts
from canaryproxy.proxy.exchange_state import ABANDONED, DISCARDED, WAITING
from canaryproxy.proxy.failover import Repeatable, repeatable, shields


class Rescue(Attempts):
    """Attempts, the canary's behind a shield where there is one."""

    __slots__ = ()

    def _begin_patience(self) -> None:
        """From now on the canary has the shield's time."""
        self._patience = self._plane.patience_of(self._decision)
        self._patience.begin(self)

    def _end_patience(self) -> None:
        """It answered, or something else did."""
        if self._patience is not None:
            self._patience.end(self)
            self._patience = None

    def _renew_patience(self) -> None:
        """The client has said all it had to say: how long it took for that is not the canary's time."""
        if self._upstream is not None and (self._course is None or not self._course.takeover):
            self._end_patience()
            self._begin_patience()

    def overdue(self) -> None:
        """The shield's time is over. Without a budget left the canary has the time of any other version."""
        self._patience = None
        sent = self._upstream is not None
        if sent and self.state < WAITING:
            return
        failure = Failure.RESPONSE_TIMEOUT if sent else Failure.CONNECT_TIMEOUT
        target = self._behind_shield()
        if target is not None:
            self._blame(failure, "the shield's time was over")
            self._move(target, failure.outcome)

    def _shielded(self, failure: Failure) -> bool:
        """Whether stable answers in place of this failure."""
        target = self._behind_shield()
        if target is not None:
            self._move(target, failure.outcome)
        return target is not None

    def _shielded_error(self, head: ResponseHead, whole: bool) -> bool:
        """Whether stable answers in place of this 5xx; `whole`: all of it is here."""
        target = self._behind_shield()
        if target is None:
            return False
        if whole:
            self._release(head)
        self._cell.reply(head.status)
        self._move(target, Outcome.ERROR_5XX)
        return True

    def _affords_shield(self) -> bool:
        """Whether there is a shield, and its budget has an answer by stable left."""
        return self._decision.shield is not None and self._plane.affords_shield(self._decision)

    def _behind_shield(self) -> Decision | None:
        """The endpoint of stable that answers instead, paid for; None where the failure has to stand."""
        plane, decision = self._plane, self._decision
        if not shields(self._affords_shield(), self._may_repeat()):
            return None
        target = self._plan().behind_shield(plane.index, plane.pool_of, plane.splits.dice)
        if target is not None:
            plane.spend_shield(decision)
        return target

    def _may_repeat(self) -> Repeatable:
        """Whether the request may be sent, or sent once more: the client got nothing, it is all here, and either none
        of it was sent yet or its method allows it.
        """
        if self._delivered or self.state in (ABANDONED, DISCARDED):
            return Repeatable.NEVER
        if not self._attempts:
            return Repeatable.SAFE
        here = self._upstream is None or self._kept
        return repeatable(self._head.method) if here else Repeatable.NEVER

    def withdraw(self) -> bool:
        """Take the request back from the canary for stable to answer, by our own decision; whether that is possible."""
        if self._may_repeat() is Repeatable.NEVER:
            return False
        plane, course = self._plane, self._plan()
        took_over = course.takeover
        target = course.withdraw(self._target, plane.index, plane.pool_of, plane.splits.dice)
        if target is None:
            return False
        if not took_over:
            self._cell.rescue(course.takeover)
        self._go_over(target)
        return True

    def _move(self, target: Decision, outcome: Outcome | None) -> None:
        """Go on at stable, as if nothing had come of the canary."""
        course = self._plan()
        course.shielded(outcome)
        self._cell.rescue(course.takeover)
        self._go_over(target)

    def _go_over(self, target: Decision) -> None:
        self._end_patience()
        if self._kept:
            self._restore()
        self._forget_response()
        self._drop_upstream()
        self._begin_attempt()
        self._aim(target)

    def _count_user(self, outcome: Outcome) -> None:
        """A user of whom the version failed a request has seen it fail, whoever answered."""
        charged = outcome if self._course is None or self._course.charged is None else self._course.charged
        if charged in FAILURES:
            self._plane.recorder.failed(self._decision, self._user)

    # What the whole exchange knows how to do.

    def _release(self, head: ResponseHead) -> None:
        raise NotImplementedError

    def _forget_response(self) -> None:
        raise NotImplementedError
