"""Active health checks of endpoints, from the control plane.

`Streak` decides, purely; `Health` sends the checks. An endpoint counts as healthy until its checks fail, and its record
is dropped when it leaves the config.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from canaryproxy.config import Config
from canaryproxy.config.schema.outbound import texts
from canaryproxy.escape import escaped
from canaryproxy.model.goal import REACHED
from canaryproxy.model.table import Endpoint
from canaryproxy.probes.endpoints import endpoints_of
from canaryproxy.probes.failing_dependencies import Reminder
from canaryproxy.probes.failure_reasons import Reason, answered, ours
from canaryproxy.probes.http_client import Call, CallFailedError, ContextOf, called

MAX_VERSION_LENGTH = 200

log = logging.getLogger("canaryproxy")


@dataclass(frozen=True, slots=True)
class HealthCheckSpec:
    """How an endpoint is checked (times in seconds), and how many results in a row change its state.

    `host` and `port` replace the endpoint's own; `plain` disables TLS; `statuses` are inclusive ranges;
    `version_header` names the response header with the endpoint's version, empty for none.
    """

    path: str
    interval: float = 2.0
    timeout: float = 1.0
    unhealthy: int = 3
    healthy: int = 1
    version_header: str = ""
    host: str = ""
    port: int | None = None
    plain: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    statuses: tuple[tuple[int, int], ...] = REACHED

    def accepts(self, status: int) -> bool:
        """Whether a response with this status is good."""
        return any(low <= status <= high for low, high in self.statuses)


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """The result of a check: the version the endpoint reports (empty for none), and why it failed."""

    passed: bool
    version: str = ""
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """The latest results of an endpoint: how many alike in a row, first and last time (Unix), and why they failed."""

    reason: Reason | None
    row: int
    since: float
    at: float

    @property
    def passed(self) -> bool:
        """Whether the last check passed."""
        return self.reason is None


def found(before: HealthFinding | None, answer: HealthAnswer, now: float) -> HealthFinding:
    """The finding after one more result."""
    reason = None if answer.passed else answer.reason or Reason("other", "it failed")
    if before is None or before.passed != answer.passed:
        return HealthFinding(reason, 1, now, now)
    return replace(before, reason=reason, row=before.row + 1, at=now)


class Streak:
    """Consecutive results of one endpoint's checks."""

    def __init__(self, check: HealthCheckSpec, *, healthy: bool = True) -> None:
        self._check = check
        self._row = 0
        self.healthy = healthy

    def __repr__(self) -> str:
        return f"<Streak {'healthy' if self.healthy else 'unhealthy'}, {self._row} against it>"

    def add(self, *, passed: bool) -> bool:
        """Count a result; True when it changed the endpoint's state."""
        if passed == self.healthy:
            self._row = 0
            return False
        self._row += 1
        if self._row < (self._check.unhealthy if self.healthy else self._check.healthy):
            return False
        self.healthy, self._row = passed, 0
        return True


Ask = Callable[[Endpoint, HealthCheckSpec], Awaitable[HealthAnswer]]


class Health:
    """Keeps the `unhealthy` endpoints, `findings` and reported `versions`; calls `changed` when an endpoint changes
    state.
    """

    def __init__(self, changed: Callable[[], None], ask: Ask, wall_clock: Callable[[], float]) -> None:
        self.unhealthy: frozenset[Endpoint] = frozenset()
        self.findings: dict[Endpoint, HealthFinding] = {}
        self.versions: dict[Endpoint, str] = {}
        self._changed = changed
        self._ask = ask
        self._wall_clock = wall_clock
        self._reminders: dict[Endpoint, Reminder] = {}
        self._lacking = Reminder()
        self._tasks: dict[tuple[Endpoint, HealthCheckSpec], asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<Health {len(self._tasks)} checks, {len(self.unhealthy)} unhealthy>"

    def watch(self, checks: Mapping[Endpoint, HealthCheckSpec]) -> None:
        """Check exactly these endpoints from now on."""
        wanted = set(checks.items())
        for gone in self._tasks.keys() - wanted:
            self._tasks.pop(gone).cancel()
        self.unhealthy = self.unhealthy & checks.keys()
        for kept in (self.versions, self.findings, self._reminders):
            for endpoint in kept.keys() - checks.keys():
                del kept[endpoint]
        for endpoint, check in wanted - self._tasks.keys():
            self._tasks[endpoint, check] = asyncio.get_running_loop().create_task(self._run(endpoint, check))

    def described(self, sides: Mapping[str, Sequence[tuple[Endpoint, str]]]) -> dict[str, object]:
        """The fields of a health event of a route: unhealthy endpoints by version, and the reasons."""
        ill = {version: [one for one, state in side if state == "unhealthy"] for version, side in sides.items()}
        why = ((one.authority, self.findings.get(one)) for side in ill.values() for one in side)
        reasons = {name: str(finding.reason) for name, finding in why if finding is not None and finding.reason}
        version_name = {version: [one.authority for one in side] for version, side in ill.items()}
        return {"unhealthy": version_name, "reasons": reasons}

    def stop(self) -> None:
        """Cancel all checks."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _run(self, endpoint: Endpoint, check: HealthCheckSpec) -> None:
        """Check one endpoint periodically. A changed spec starts with the state the old one found."""
        streak = Streak(check, healthy=endpoint not in self.unhealthy)
        # Spread the checks of many endpoints over the interval.
        await asyncio.sleep(check.interval * random.random())
        while True:
            answer = await self._asked(endpoint, check)
            if answer.reason is not None and answer.reason.kind == "ours":
                self._lack(endpoint, answer.reason)
                await asyncio.sleep(check.interval)
                continue
            finding = self.findings[endpoint] = found(self.findings.get(endpoint), answer, self._wall_clock())
            if answer.passed and answer.version:
                self.versions[endpoint] = answer.version
            changed = streak.add(passed=answer.passed)
            self._say(endpoint, check, finding, streak, changed=changed)
            if changed:
                self.unhealthy = self.unhealthy - {endpoint} if streak.healthy else self.unhealthy | {endpoint}
                self._changed()
            await asyncio.sleep(check.interval)

    async def _asked(self, endpoint: Endpoint, check: HealthCheckSpec) -> HealthAnswer:
        """The result of one check. An internal error does not count against the endpoint or end the checks."""
        try:
            return await self._ask(endpoint, check)
        except Exception as error:
            log.exception("internal error while checking endpoint %s", endpoint.authority)
            return HealthAnswer(passed=False, reason=ours(type(error).__name__))

    def _lack(self, endpoint: Endpoint, reason: Reason) -> None:
        """The check failed for a local reason, which does not count against the endpoint."""
        if self._lacking.due(reason.words, self._wall_clock()):
            log.error("health checks fail because of a local resource, for example %s: %s", endpoint.authority, reason)

    def _say(
        self, endpoint: Endpoint, check: HealthCheckSpec, finding: HealthFinding, streak: Streak, *, changed: bool
    ) -> None:
        """Log every change of state, and lasting failures now and then."""
        reason = finding.reason
        reminder = self._reminders.setdefault(endpoint, Reminder())
        path = check.path.partition("?")[0]
        fields = {"endpoint": endpoint.authority, "path": path, "in_a_row": finding.row}
        if reason is not None:
            fields |= {"reason": reason.kind}
        extra = {"fields": fields}
        if changed and reason is None:
            log.warning("endpoint %s is healthy again (%s)", endpoint.authority, path, extra=extra)
        elif changed and reason is not None:
            reminder.said(reason.kind, finding.at)
            words = "endpoint %s is unhealthy (%s): %s, %d in a row"
            log.warning(words, endpoint.authority, path, reason, finding.row, extra=extra)
        elif reason is not None and reminder.due(reason.kind, finding.at):
            still = "still healthy" if streak.healthy else "still unhealthy"
            words = "a health check of endpoint %s (%s) failed: %s, %d in a row, %s"
            log.warning(words, endpoint.authority, path, reason, finding.row, still, extra=extra)


def over_http(context_of: ContextOf) -> Ask:
    """Check over HTTP, on a new connection each time."""

    async def ask(endpoint: Endpoint, check: HealthCheckSpec) -> HealthAnswer:
        tls = None if check.plain else endpoint.tls
        at = endpoint if check.port is None else replace(endpoint, port=check.port)
        url = f"{'http' if tls is None else 'https'}://{at.authority}{check.path}"
        headers = {"host": check.host or at.site, "user-agent": "canaryproxy-health", **dict(check.headers)}
        call = Call(url, {**headers, "connection": "close"}, check.timeout, tls, context_of)
        try:
            async with called("GET", call) as response:
                version = version_name(response.headers.get(check.version_header, "")) if check.version_header else ""
                if check.accepts(response.status):
                    return HealthAnswer(passed=True, version=version)
                return HealthAnswer(passed=False, version=version, reason=answered(response.status))
        except CallFailedError as error:
            return HealthAnswer(passed=False, reason=error.reason)

    return ask


def version_name(said: str) -> str:
    """A reported version as visible ASCII, shortened: it is shown in logs, the API and the history."""
    return escaped(said.encode("ascii", "backslashreplace").decode("ascii"))[:MAX_VERSION_LENGTH]


def newly_unhealthy(
    config: Config, endpoints: Callable[[str], Mapping[str, Sequence[tuple[Endpoint, str]]]], turned: Set[Endpoint]
) -> Iterator[tuple[str, Mapping[str, Sequence[tuple[Endpoint, str]]]]]:
    """The routes with an endpoint in `turned`, each with all its endpoints by version."""
    for name, route in config.routes.items():
        sides = endpoints(name) if any(side.health is not None for side in route.sides) else {}
        if any(endpoint in turned for side in sides.values() for endpoint, _ in side):
            yield name, sides


def checks(config: Config, answers: dict[str, tuple[str, ...]]) -> dict[Endpoint, HealthCheckSpec]:
    """The spec of every endpoint with a health check; an endpoint of two versions gets the first one's."""
    asked: dict[Endpoint, HealthCheckSpec] = {}
    for side in (side for route in config.routes.values() for side in route.sides):
        health = side.health
        if health is None:
            continue
        often = health.interval, health.timeout, health.unhealthy, health.healthy
        check = HealthCheckSpec(health.path, *often, health.version_header or "", health.host or "", health.port)
        plain, headers = health.scheme == "http", texts(health.headers)
        check = replace(check, plain=plain, headers=headers, statuses=health.status)
        for endpoint in endpoints_of(side, answers):
            asked.setdefault(endpoint, check)
    return asked
