"""Carries out the steps of `failover` on an exchange.

Stable answers instead of the canary, before any byte was delivered to the client, if an attempt failed (the shield) or
if we take the request back (`withdraw`). The canary is charged with its own failures in any case, never with our
decisions.
"""

from typing import Protocol

from canaryproxy.dataplane.attempt import Attempt
from canaryproxy.dataplane.context import WorkerContext
from canaryproxy.dataplane.failover import EJECTING_FAILURES, FailoverPlan, FailoverStep, Repeatable, next_step, shields
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure, Outcome
from canaryproxy.model.head import ResponseHead
from canaryproxy.telemetry.record.recorder import CounterCell


class _Recoverable(Protocol):
    """The part of `Exchange` that recovery needs; documented there."""

    attempt: Attempt
    cell: CounterCell
    context: WorkerContext
    decision: Decision
    plan: FailoverPlan | None

    def may_repeat(self) -> Repeatable: ...
    def begin_attempt(self) -> None: ...
    def open(self) -> None: ...
    def set_target(self, target: Decision) -> None: ...
    def release(self, head: ResponseHead) -> None: ...
    def forget_response(self) -> None: ...
    def stop_deadline(self) -> None: ...
    def note(self, failure: Failure, why: str) -> None: ...
    def fail(self, failure: Failure) -> None: ...


def go_on(exchange: _Recoverable, failure: Failure, why: str) -> None:
    """The attempt failed: take the first step that the current table allows. A shortage of our own is not charged to
    the endpoint. `why` is for the log.
    """
    sent, budget, may = exchange.attempt.sent(), affords_shield(exchange), exchange.may_repeat()
    step = next_step(failure, sent, budget, may)
    if step is FailoverStep.RETRY:
        if exchange.context.routing.index.allows(exchange.attempt.target):
            retry(exchange)
            return
        step = next_step(failure, sent, budget, may, step)
    # OVERLOADED is a shortage of this machine: the endpoint is not to blame.
    if failure is not Failure.OVERLOADED:
        blame(exchange, failure, why)
    final = failure
    if step is FailoverStep.FALLBACK:
        if fall_back(exchange, failure):
            return
        final = plan_of(exchange).final(failure)
        step = next_step(failure, sent, budget, may, step)
    if step is FailoverStep.SHIELD:
        target = behind_shield(exchange)
        if target is not None:
            have_stable_answer(exchange, target, final.outcome)
            return
    exchange.fail(final)


def plan_of(exchange: _Recoverable) -> FailoverPlan:
    """The plan, created at the first failure."""
    plan = exchange.plan = exchange.plan or FailoverPlan(exchange.decision)
    return plan


def retry(exchange: _Recoverable) -> None:
    """The keep-alive race: try the same endpoint on a new connection."""
    exchange.cell.repeat(Outcome.RESET)
    pool = exchange.attempt.pool
    exchange.begin_attempt()
    if pool is not None:
        exchange.attempt.pool = pool
        pool.in_flight += 1
    exchange.open()


def fall_back(exchange: _Recoverable, failure: Failure) -> bool:
    """Go on at another endpoint, or at the other version; returns False if there is none left."""
    routing, loads, plan = exchange.context.routing, exchange.context.pools.endpoint_load, plan_of(exchange)
    took_over = plan.takeover
    target = plan.fall_back(exchange.attempt.target, failure, routing.index, loads, routing.splits.rng)
    if target is None:
        return False
    if plan.takeover and not took_over:
        exchange.cell.rescue(plan.takeover)
    exchange.begin_attempt()
    exchange.set_target(target)
    return True


def blame(exchange: _Recoverable, failure: Failure, why: str) -> None:
    """Charge a failure to the endpoint, and log it."""
    exchange.note(failure, why)
    pool, target, context = exchange.attempt.pool, exchange.attempt.target, exchange.context
    if pool is None or failure not in EJECTING_FAILURES:
        return
    others = [other for other in target.choice.decisions() if other.endpoint != target.endpoint]
    last = all(context.pools.of(other).ejected for other in others)
    if pool.ejection.failed(context.clock.now(), last=last) and target.version is exchange.decision.version:
        exchange.cell.eject()


def affords_shield(exchange: _Recoverable) -> bool:
    """Whether there is a shield with a budget left."""
    return exchange.decision.shield is not None and exchange.context.shields.can_withdraw(exchange.decision)


def behind_shield(exchange: _Recoverable) -> Decision | None:
    """The endpoint of stable that answers instead, paid from the budget; None if the failure is final."""
    if not shields(affords_shield(exchange), exchange.may_repeat()):
        return None
    routing, loads = exchange.context.routing, exchange.context.pools.endpoint_load
    target = plan_of(exchange).behind_shield(routing.index, loads, routing.splits.rng)
    if target is not None:
        exchange.context.shields.withdraw(exchange.decision)
    return target


def have_stable_answer(exchange: _Recoverable, target: Decision, outcome: Outcome | None) -> None:
    """Go on at stable; the canary is charged with `outcome`."""
    plan = plan_of(exchange)
    plan.shielded(outcome)
    exchange.cell.rescue(plan.takeover)
    go_over(exchange, target)


def replace_late(exchange: _Recoverable) -> None:
    """The shield's time is over: stable answers, if possible."""
    sent = exchange.attempt.stream is not None
    failure = Failure.RESPONSE_TIMEOUT if sent else Failure.CONNECT_TIMEOUT
    target = behind_shield(exchange)
    if target is not None:
        blame(exchange, failure, "no response within the shield's timeout")
        have_stable_answer(exchange, target, failure.outcome)


def replace_error(exchange: _Recoverable, head: ResponseHead, whole: bool) -> bool:
    """Whether stable answers instead of this 5xx; `whole`: it was received completely."""
    target = behind_shield(exchange)
    if target is None:
        return False
    if whole:
        exchange.release(head)
    exchange.cell.reply(head.status)
    have_stable_answer(exchange, target, Outcome.ERROR_5XX)
    return True


def withdraw(exchange: _Recoverable) -> bool:
    """Take the request back from the canary and have stable answer. Returns whether that is possible."""
    if exchange.may_repeat() is Repeatable.NEVER:
        return False
    routing, loads, plan = exchange.context.routing, exchange.context.pools.endpoint_load, plan_of(exchange)
    took_over = plan.takeover
    target = plan.withdraw(exchange.attempt.target, routing.index, loads, routing.splits.rng)
    if target is None:
        return False
    if not took_over:
        exchange.cell.rescue(plan.takeover)
    go_over(exchange, target)
    return True


def go_over(exchange: _Recoverable, target: Decision) -> None:
    """Start again at stable."""
    exchange.stop_deadline()
    exchange.forget_response()
    exchange.begin_attempt()
    exchange.set_target(target)
