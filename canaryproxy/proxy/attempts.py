"""The upstream side of an exchange: decide, lease a connection, send; and when that fails, what next.

Everything sent is kept as long as it may have to be sent again, and no longer. Each move to another endpoint
asks the table of that moment, so a canary that was aborted meanwhile gets no second chance.
"""

import asyncio
import math

from canaryproxy.http1 import upgrade
from canaryproxy.http1.hops import request_id_of
from canaryproxy.model.decision import Decision
from canaryproxy.model.failure import Failure
from canaryproxy.model.message import Body, RequestHead
from canaryproxy.model.outcome import Outcome
from canaryproxy.proxy.caller import Caller
from canaryproxy.proxy.exchange_state import ANSWERED_EARLY, LEGAL, SENDING, WAITING, IllegalMoveError
from canaryproxy.proxy.failover import BLAMED, IDEMPOTENT, FailoverPlan, Repeatable, Sent, Step, next_step
from canaryproxy.proxy.keeping import REPLAY_LIMIT, Keeping
from canaryproxy.proxy.mirror_copy import Copy
from canaryproxy.proxy.pool import Pool
from canaryproxy.proxy.shield import Patience
from canaryproxy.proxy.upstream import Upstream
from canaryproxy.routing.affinity import Key
from canaryproxy.routing.decide import decide
from canaryproxy.routing.facts import Facts
from canaryproxy.telemetry.record import Cell

NEVER = math.inf
NO_BODY = Body.NONE


class Attempts(Keeping):
    """One decided request on its way to an endpoint. `deadline` is when the upstream side gives up on it.

    `_decision` is what the request counts for; `_target` is where it is being tried, which differs once an
    attempt has failed. `_delivered` is what the client has got of a response.
    """

    __slots__ = (
        "_attempts", "_cell", "_connecting", "_copy", "_course", "_decision", "_delivered", "_excluded",
        "_facts", "_head", "_held", "_identified", "_key", "_opening", "_patience",
        "_paused_at", "_pool", "_queued", "_request", "_started", "_target", "_tried", "_upgrade", "_upstream",
        "_user", "deadline", "down", "state",
    )  # fmt: skip

    _attempts: int
    _cell: Cell
    _connecting: asyncio.Task[None] | None
    _copy: Copy | None
    _course: FailoverPlan | None
    _decision: Decision
    _delivered: int
    _excluded: float
    _facts: Facts | None
    _head: RequestHead
    _held: tuple[str, str] | None
    _identified: bytes
    _key: Key | None
    _opening: float
    _patience: Patience | None
    _paused_at: float
    _pool: Pool | None
    _queued: int
    _request: bytes
    _started: float
    _target: Decision
    _tried: float
    _upgrade: bytes
    _upstream: Upstream | None
    _user: int
    deadline: float
    down: Caller
    state: int

    @property
    def cell(self) -> Cell:
        """Where this exchange is counted."""
        return self._cell

    @property
    def decision(self) -> Decision:
        """What this exchange counts for."""
        return self._decision

    @property
    def target(self) -> Decision:
        """Where it is being tried."""
        return self._target

    def _move(self, to: int) -> None:
        """Come into another state. Raises `IllegalMoveError`."""
        legal = LEGAL[self.state]
        if not legal >> to & 1:
            raise IllegalMoveError(self.state, to)
        self.state = to

    # Decide and lease.

    def begin(self) -> None:
        """Choose version and endpoint, and send the head or open a connection for it.

        Raises `Refused` where there is no route or the request has come in a circle; nothing is counted
        for a version then.
        """
        plane, head, peer = self._plane, self._head, self.down.peer
        decision, self._key, self._user, self._facts = decide(plane.index, head, peer, plane.splits, plane.loads)
        pool = plane.lent.get(decision)
        if pool is None:
            pool = plane.pool_of(decision)
        if head.upgrade:
            self._upgrade = upgrade.asked(head, [name.encode("ascii") for name in decision.route.upgrades])
        self._request = plane.hops.request(head, peer, pool.authority, decision.told, self._upgrade)
        self._identified = plane.hops.identified
        self._decision = self._target = decision
        now = self._started = self._tried = plane.now()
        self._cell = plane.recorder.start(decision, now)
        if self._user:
            plane.recorder.saw(decision, self._user)
        if decision.shield is not None:
            plane.pay(decision, now)
            self._begin_patience()
        if decision.mirror is not None:
            self._copy = plane.mirrors.copy(decision.mirror, head, peer, self._identified)
            if self.state >= WAITING:
                self._send_copy()
        if decision.endpoint is None:
            self._go_on(Failure.NO_ENDPOINT, "no endpoint of the version is known")
        elif decision.limit is not None and not self._enter(decision):
            self._fail(Failure.OVERLOADED)
        else:
            self._lease(pool)

    def _send_copy(self) -> None:
        """The request is here whole: so is its copy, if there is to be one."""
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.send()

    def _forget_copy(self) -> None:
        """The exchange is over before its request was here whole."""
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.forget()

    def _lease(self, pool: Pool) -> None:
        self._pool = pool
        pool.in_flight += 1
        upstream = pool.take()
        if upstream is None:
            self._open()
        else:
            self._send(upstream)

    def _enter(self, target: Decision) -> bool:
        """Take one of the places that the target's version has; False when all are taken."""
        self._leave()
        limit = target.limit
        if limit is not None:
            place = (target.route.name, target.version.name)
            held = self._plane.held
            if held[place] >= limit:
                return False
            held[place] += 1
            self._held = place
        return True

    def _leave(self) -> None:
        if self._held is not None:
            self._plane.held[self._held] -= 1
            self._held = None

    def _open(self) -> None:
        if self._pool is None:
            raise RuntimeError("a connection is opened to nowhere")
        self._connecting = self._pool.open(self)
        self.deadline = self._plane.in_seconds(self._target.connect_timeout)

    def connected(self, upstream: Upstream) -> None:
        """A connection was opened for us."""
        opening = self._plane.now() - self._tried
        self._excluded += opening
        self._opening += opening
        if self._course is None or not self._course.takeover:
            self._cell.connected(opening)
        self._connecting = None
        if self._called_off():
            upstream.abort()
            if not self.withdraw():
                self._fail(Failure.CANARY_ABORTED)
            return
        self._send(upstream)
        if not upstream.blocked:
            self.down.unblock()

    def _called_off(self) -> bool:
        """Whether the canary was aborted, or removed, while the connection to it opened."""
        target = self._target
        entry = self._plane.index.by_name.get(target.route.name)
        aborted = entry is not None and (entry.alone or (entry.route.aborted and not target.preview))
        return aborted and target.version.name == "canary"

    def connect_failed(self, failure: Failure, why: str = "") -> None:
        """No connection could be opened; nothing was sent. What we lack ourselves is no fault of the endpoint."""
        self._connecting = None
        self._go_on(failure, why)

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._attempts += 1
        method = self._head.method
        upstream.exchange = self
        upstream.answered = False
        upstream.reader.expect(method)
        self._wait()
        unsent = self._unsent
        if unsent:
            upstream.send(b"".join((self._request, *unsent)))
            self._unsent = None
        else:
            upstream.send(self._request)
        may_repeat = method in IDEMPOTENT and self._unsent_size <= REPLAY_LIMIT
        if may_repeat and (upstream.reused or self._decision.spare):
            self._kept = True
            self._replay = unsent
            self._replay_size = self._unsent_size
        if unsent:
            self._weigh()
        if self.down.paused:
            self.response_paused()

    def _wait(self) -> None:
        """Start the version's clock where it is the version's turn, stop it where it is the client's: while that has
        more to send, or does not read. While a connection opens, the deadline is that of the opening.
        """
        upstream = self._upstream
        if upstream is None:
            return
        turn = (self.state != SENDING and self.state != ANSWERED_EARLY) or upstream.blocked
        self.deadline = self._plane.in_seconds(self._target.response_timeout) if turn and not self._paused_at else NEVER

    def _pass_on(self, data: bytes) -> None:
        """Send a piece of the request's body, or keep it until there is a connection."""
        upstream = self._upstream
        if upstream is None:
            if self._await_connection(data):
                self.down.block()
            return
        if self._kept:
            self._keep(data)
        upstream.send(data)

    # What can go wrong.

    def upstream_failed(self, failure: Failure, why: str = "") -> None:
        """The connection or what came over it is unusable."""
        self._go_on(failure, why)

    def _sent_so_far(self) -> Sent:
        """How far this attempt has come."""
        upstream = self._upstream
        if upstream is None:
            return Sent.NOTHING
        if upstream.answered:
            return Sent.ANSWERED
        return Sent.RACED if upstream.reused else Sent.REQUEST

    def _go_on(self, failure: Failure, why: str) -> None:
        """The attempt came to nothing: take the first step that the table of now allows. What we lack ourselves is no
        fault of the endpoint.
        """
        plane, target = self._plane, self._target
        sent, budget, may = self._sent_so_far(), self._affords_shield(), self._may_repeat()
        step = next_step(failure, sent, budget, may)
        if step is Step.RETRY:
            if plane.index.allows(target):
                self._again()
                return
            step = next_step(failure, sent, budget, may, step)
        if failure is not Failure.OVERLOADED:
            self._blame(failure, why)
        verdict = failure
        if step is Step.FALLBACK:
            if self._fall_back(failure):
                return
            verdict = self._plan().final(failure)
            step = next_step(failure, sent, budget, may, step)
        if step is not Step.SHIELD or not self._shielded(verdict):
            self._fail(verdict)

    def _plan(self) -> FailoverPlan:
        """The plan, made where it is the first time that something fails."""
        course = self._course = self._course or FailoverPlan(self._decision)
        return course

    def _again(self) -> None:
        """The keep-alive race: the same endpoint, on a new connection."""
        self._cell.repeat(Outcome.RESET)
        pool = self._pool
        self._restore()
        self._drop_upstream()
        self._begin_attempt()
        if pool is not None:
            self._pool = pool
            pool.in_flight += 1
        self._open()

    def _begin_attempt(self) -> None:
        self._paused_at = 0.0
        self._excluded = 0.0
        self._tried = self._plane.now()
        self.down.unblock()

    def _fall_back(self, failure: Failure) -> bool:
        """Go on at another endpoint, or at the other version; False where there is none left."""
        plane, course = self._plane, self._plan()
        took_over = course.takeover
        target = course.fall_back(self._target, failure, plane.index, plane.pool_of, plane.splits.dice)
        if self._kept:
            self._restore()
        self._drop_upstream()
        if target is None:
            return False
        if course.takeover and not took_over:
            self._cell.rescue(course.takeover)
        self._begin_attempt()
        self._aim(target)
        return True

    def _aim(self, target: Decision) -> None:
        """Go on at another endpoint, with a head that is true for it."""
        plane, head = self._plane, self._head
        pool = plane.pool_of(target)
        if target.told is not None or head.host is None:
            self._request = plane.hops.request(
                head, self.down.peer, pool.authority, target.told, self._upgrade, self._identified
            )
        moved = target.version is not self._target.version
        self._target = target
        if moved and not self._enter(target):
            self._fail(Failure.OVERLOADED)
        else:
            self._lease(pool)

    def _blame(self, failure: Failure, why: str) -> None:
        """Hold a failure against the endpoint, and say so."""
        self._note(failure, why)
        pool, target, plane = self._pool, self._target, self._plane
        if pool is None or failure not in BLAMED:
            return
        others = [other for other in target.verdict.decisions() if other.endpoint != target.endpoint]
        last = all(plane.pool_of(other).ejected for other in others)
        if pool.ejection.failed(plane.now(), last=last) and target.version is self._decision.version:
            self._cell.eject()

    def _note(self, failure: Failure, why: str) -> None:
        """Say in the log what the endpoint did."""
        self._plane.errors.note(failure, self._target, request_id_of(self._identified), why)

    def _drop_upstream(self) -> None:
        """Be through with the endpoint, whatever state the attempt is in."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._pool is not None:
            self._pool.in_flight -= 1
            self._pool = None

    # What the whole exchange knows how to do.

    def _begin_patience(self) -> None:
        raise NotImplementedError

    def withdraw(self) -> bool:
        """Take the request back from the canary."""
        raise NotImplementedError

    def _affords_shield(self) -> bool:
        raise NotImplementedError

    def _may_repeat(self) -> Repeatable:
        raise NotImplementedError

    def _shielded(self, failure: Failure) -> bool:
        raise NotImplementedError

    def _fail(self, failure: Failure) -> None:
        raise NotImplementedError

    def response_paused(self) -> None:
        """The client does not keep up."""
        raise NotImplementedError
