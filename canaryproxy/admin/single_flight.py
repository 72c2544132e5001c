"""One computation shared by concurrent callers (single flight).

With `kept` seconds, callers that arrive during a computation or within `kept` seconds of its start get its result,
unless the state has changed since. With 0, callers that arrive during a computation wait for the next one, so the
result includes every change made before the call.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from canaryproxy.admin.problems import ApiError

log = logging.getLogger("canaryproxy")

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Shares the results of `make`. `state` returns another value after every change that callers must see."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Awaitable[Result]],
        clock: Callable[[], float],
        kept: float = 0.0,
        state: Callable[[], object] = lambda: None,
    ) -> None:
        self._name = name
        self._make = make
        self._clock = clock
        self._kept = kept
        self._state = state
        self._last: tuple[float, object, Result] | None = None
        self._known: object = None
        self._running: asyncio.Task[Result | ApiError] | None = None
        self._next: asyncio.Task[Result | ApiError] | None = None

    def __repr__(self) -> str:
        return f"<SingleFlight of {self._name}, {'running' if self._running else 'idle'}>"

    async def get(self) -> Result:
        """A cached or new result. Cancelling a caller does not cancel the computation. Raises `ApiError`."""
        if self._last is not None:
            begun, known, last = self._last
            if self._clock() - begun < self._kept and known == self._state():
                return last
        # Shielded: a client that disconnects must not cancel the computation for the others.
        made = await asyncio.shield(self._in_progress())
        if isinstance(made, ApiError):
            # A copy for each caller: an exception raised twice would chain tracebacks.
            raise ApiError(made.slug, made.detail, made.more, made.headers)
        return made

    def stop(self) -> None:
        """Cancel running computations."""
        for task in filter(None, (self._running, self._next)):
            task.cancel()

    def _in_progress(self) -> "asyncio.Task[Result | ApiError]":
        running, state = self._running, self._state()
        if running is None:
            self._known = state
            self._running = asyncio.get_running_loop().create_task(self._run(None))
            return self._running
        if self._kept and self._known == state:
            return running
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._run(running))
        return self._next

    async def _run(self, before: "asyncio.Task[Result | ApiError] | None") -> Result | ApiError:
        if before is not None:
            await asyncio.wait({before})
            self._running, self._next = self._next, None
        begun, known = self._clock(), self._state()
        self._known = known
        try:
            made = await self._make()
        except ApiError as problem:
            return problem
        except Exception:
            log.exception("computing %s failed", self._name)
            return ApiError("internal-error", "see the log of the proxy")
        else:
            if self._kept:
                self._last = begun, known, made
            return made
        finally:
            if self._next is None:
                self._running = None
