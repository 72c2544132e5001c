"""What changes traffic goes first: while a change is under way, what is only read waits for it, though not for long.

A change passes through the event loop many times, and each time all that is ready there runs before it goes on.
"""

import asyncio
import contextlib
from collections.abc import Iterator

MAX_WAIT_SECONDS = 0.25
"""Seconds that a reader waits for changes at most: a disk or a worker that hangs does not stop reading."""


class ChangePriority:
    """Knows whether a change is under way."""

    def __init__(self) -> None:
        self._changes = 0
        self._none = asyncio.Event()

    def __repr__(self) -> str:
        return f"<ChangePriority of {self._changes} changes>"

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Until the end of the block a change is under way."""
        self._changes += 1
        self._none.clear()
        try:
            yield
        finally:
            self._changes -= 1
            if not self._changes:
                self._none.set()

    async def yield_to_changes(self) -> None:
        """Let changes go first, if there are any."""
        if self._changes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAX_WAIT_SECONDS):
                    await self._none.wait()

    async def breathe(self) -> None:
        """Between two steps of something long: let everybody have a turn, and changes be finished."""
        await asyncio.sleep(0)
        await self.yield_to_changes()
