"""Active health checks: who answers, asked again and again, from the control plane.

`Streak` decides, purely; `Health` asks. An endpoint counts as healthy until its checks say otherwise, and loses
its record when it leaves the config.
"""

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from canaryproxy.config import Config
from canaryproxy.config.route import VersionConfig
from canaryproxy.control.endpoints import endpoints_of
from canaryproxy.model.certificate import UpstreamTls
from canaryproxy.model.table import Endpoint

LONGEST_VERSION = 200

log = logging.getLogger("canaryproxy")


@dataclass(frozen=True, slots=True)
class Check:
    """How an endpoint is asked, and how often in a row it must fail or succeed to change sides. Seconds.
    `version_header` is the response header in which it tells its version, empty for none.
    """

    path: str
    interval: float = 2.0
    timeout: float = 1.0
    unhealthy: int = 3
    healthy: int = 1
    version_header: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint said to a check; `version` is what it calls itself, empty if it does not say."""

    passed: bool
    version: str = ""


class Streak:
    """Results of one endpoint's checks, in a row."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._row = 0
        self.healthy = True

    def __repr__(self) -> str:
        return f"<Streak {'healthy' if self.healthy else 'unhealthy'}, {self._row} against it>"

    def add(self, *, passed: bool) -> bool:
        """Count a result; True when it changed the endpoint's side."""
        if passed == self.healthy:
            self._row = 0
            return False
        self._row += 1
        if self._row < (self._check.unhealthy if self.healthy else self._check.healthy):
            return False
        self.healthy, self._row = passed, 0
        return True


Ask = Callable[[Endpoint, Check], Awaitable[Answer]]


class Health:
    """Keeps `unhealthy`, the endpoints that are ill, and `versions`, what they call themselves; `changed` is called
    when one has changed sides.
    """

    def __init__(self, changed: Callable[[], None], ask: Ask) -> None:
        self.unhealthy: frozenset[Endpoint] = frozenset()
        self.versions: dict[Endpoint, str] = {}
        self._changed = changed
        self._ask = ask
        self._tasks: dict[tuple[Endpoint, Check], asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<Health {len(self._tasks)} checks, {len(self.unhealthy)} unhealthy>"

    def watch(self, checks: Mapping[Endpoint, Check]) -> None:
        """Check just these endpoints from now on."""
        wanted = set(checks.items())
        for gone in self._tasks.keys() - wanted:
            self._tasks.pop(gone).cancel()
        self.unhealthy = self.unhealthy & checks.keys()
        for endpoint in self.versions.keys() - checks.keys():
            del self.versions[endpoint]
        for endpoint, check in wanted - self._tasks.keys():
            self._tasks[endpoint, check] = asyncio.get_running_loop().create_task(self._run(endpoint, check))

    def stop(self) -> None:
        """No more checks."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _run(self, endpoint: Endpoint, check: Check) -> None:
        streak = Streak(check)
        await asyncio.sleep(check.interval * random.random())
        while True:
            answer = await self._ask(endpoint, check)
            if answer.passed and answer.version:
                self.versions[endpoint] = answer.version
            if streak.add(passed=answer.passed):
                word = "healthy again" if streak.healthy else "unhealthy"
                log.warning("endpoint %s is %s (%s)", endpoint.authority, word, check.path)
                self.unhealthy = self.unhealthy - {endpoint} if streak.healthy else self.unhealthy | {endpoint}
                self._changed()
            await asyncio.sleep(check.interval)


def over_http(context_of: Callable[[UpstreamTls], ssl.SSLContext]) -> Ask:
    """Whether an endpoint answers with 200 to 399 in time, on a connection of its own."""

    async def ask(endpoint: Endpoint, check: Check) -> Answer:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            status, version = await _asked(endpoint, check, context_of)
            return Answer(200 <= status < 400, version)
        return Answer(passed=False)

    return ask


async def _asked(
    endpoint: Endpoint, check: Check, context_of: Callable[[UpstreamTls], ssl.SSLContext]
) -> tuple[int, str]:
    """Status and version."""
    secure: dict[str, Any] = {}
    if endpoint.tls is not None:
        secure = {"ssl": context_of(endpoint.tls), "server_hostname": endpoint.tls.server_name}
    scheme = "https" if endpoint.tls is not None else "http"
    headers = {"Host": endpoint.site, "User-Agent": "canaryproxy-health", "Connection": "close"}
    timeout = aiohttp.ClientTimeout(total=check.timeout)
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
        session.get(f"{scheme}://{endpoint.authority}{check.path}", allow_redirects=False, **secure) as response,
    ):
        version = response.headers.get(check.version_header, "") if check.version_header else ""
        return response.status, version[:LONGEST_VERSION]


def checks(config: Config, answers: dict[str, tuple[str, ...]]) -> dict[Endpoint, Check]:
    """How every endpoint with a health check is asked; one that two versions share, as the first one says."""
    sides: list[VersionConfig] = [side for route in config.routes.values() for side in (route.stable, route.canary)]
    found: dict[Endpoint, Check] = {}
    for side in sides:
        health = side.health
        for endpoint in endpoints_of(side, answers) if health is not None else ():
            if health is not None:
                check = Check(
                    health.path, health.interval, health.timeout, health.unhealthy, health.healthy,
                    health.version_header or "",
                )  # fmt: skip
                found.setdefault(endpoint, check)
    return found
