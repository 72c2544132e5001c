"""Changes go first: while one is in progress, reads wait for it, for a limited time.

A change passes through the event loop many times, and each time waits for everything that is ready to run.
"""

import asyncio
import contextlib
from collections.abc import Iterator

MAX_WAIT_SECONDS = 0.25
"""Seconds that a read waits at most: a hanging disk or worker must not stop reads."""


class ChangePriority:
    """Counts the changes in progress."""

    def __init__(self) -> None:
        self._changes = 0
        self._none = asyncio.Event()

    def __repr__(self) -> str:
        return f"<ChangePriority of {self._changes} changes>"

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """A change is in progress until the end of the block."""
        self._changes += 1
        self._none.clear()
        try:
            yield
        finally:
            self._changes -= 1
            if not self._changes:
                self._none.set()

    async def yield_to_changes(self) -> None:
        """Wait for changes in progress."""
        if self._changes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAX_WAIT_SECONDS):
                    await self._none.wait()

    async def breathe(self) -> None:
        """Between two steps of a long task: yield to the event loop and to changes."""
        await asyncio.sleep(0)
        await self.yield_to_changes()
