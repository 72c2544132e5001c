"""Who is cut where the buffers of a worker hold more than they may: those who hold the most and move the least.

A client that takes what it is sent holds little for long: while it is tight, its queue shrinks as it reads. One that
does not keeps what it has. So what somebody holds, less what moved in the last second, says who is the greatest burden;
small holders are cut where all others were not enough. Each is cut so that it can tell: by an answer of our own where
none has begun, else by a reset.
"""

import ctypes
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from canaryproxy.proxy.buffers import Buffers

log = logging.getLogger("canaryproxy")

LEAST = 4_096
LITTLE = 256
"""Bytes below which cutting one is not worth it; the second where cutting all others was not enough: thousands of small
holders would else have everybody refused for as long as they like."""

LOOKS = 4
"""Sweeps from one look at what moves to the next."""

IDLE_AT_ONCE = 64
"""Idle clients that are closed at a time where memory is short and no buffer is to blame."""

CUT = "connections were cut, the buffers hold more than server.limits.buffers allows or memory is short"


class Holder(Protocol):
    """What holds bytes: a client's connection with its exchange, or a tunnel."""

    def weight(self) -> int:
        """Bytes that are held for it now."""

    def progress(self) -> tuple[object, int]:
        """What it is at, and how many bytes of that have moved so far."""

    def shed(self) -> None:
        """End it, and hold nothing for it any more."""


def nobody() -> bool:
    """There is no idle client to close."""
    return False


def trim() -> None:
    """Give memory that is free back to the system, which the allocator does not do by itself."""
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(0)


class Shedding:
    """Keeps the buffers of a worker within their limit. `holders` are all there are now; `later` runs something in the
    loop's next turn; `note` says in the log that one was cut; `spare` closes an idle client; `memory` is the share of
    all memory that is in use, None where there is no limit.
    """

    def __init__(
        self, buffers: Buffers, holders: Callable[[], Iterable[Holder]], later: Callable[[Callable[[], None]], object],
        note: Callable[[str], None], memory: Callable[[], float] | None = None,
    ) -> None:  # fmt: skip
        self._buffers = buffers
        self._holders = holders
        self._later = later
        self._note = note
        self._memory = memory
        self._before: dict[Holder, tuple[object, int]] = {}
        self._sweeps = 0
        self.spare: Callable[[], bool] = nobody
        self.trim: Callable[[], None] = trim
        buffers.crossed = self._crossed

    def __repr__(self) -> str:
        return f"<Shedding {self._buffers!r}>"

    def _crossed(self) -> None:
        """Not from within whatever wrote: it may be among those that are cut."""
        self._later(self.relieve)

    def relieve(self) -> None:
        """Cut until enough is free. Whatever goes wrong meanwhile, the next crossing calls again."""
        cut = 0
        try:
            cut = self._cut()
            if self._buffers.pressed and not cut:
                for _ in range(IDLE_AT_ONCE):
                    if not self.spare():
                        break
        finally:
            self._buffers.settle(cut)

    def _cut(self) -> int:
        """Those that hold too much, the greatest burden first; how many. One that cannot be cut keeps nobody else."""
        buffers, cut = self._buffers, 0
        least = buffers.held - buffers.excess()
        for small in (LEAST, LITTLE):
            if buffers.held <= (least if small == LEAST else buffers.limit):
                break
            for holder in self.ranked(small):
                self._shed(holder)
                cut += 1
                if buffers.held <= least:
                    break
        return cut

    def _shed(self, holder: Holder) -> None:
        try:
            holder.shed()
        except Exception:
            log.exception("a connection could not be cut: %r", holder)
        self._before.pop(holder, None)
        self._note(CUT)

    def ranked(self, least: int = LEAST) -> list[Holder]:
        """Those worth cutting, the greatest burden first."""
        weighed = [(holder.weight(), holder) for holder in self._holders()]
        burdens = [(weight - self._moved(holder), holder) for weight, holder in weighed if weight >= least]
        burdens.sort(key=lambda one: one[0], reverse=True)
        return [holder for _, holder in burdens]

    def _moved(self, holder: Holder) -> int:
        """Bytes since the last look."""
        what, moved = holder.progress()
        before = self._before.get(holder)
        return moved - before[1] if before is not None and before[0] is what else moved

    def sweep(self) -> None:
        """Called a few times a second: look at what moves, and at the memory."""
        buffers = self._buffers
        self._sweeps += 1
        looks = self._sweeps % LOOKS == 0
        if looks and (buffers.tight or self._before):
            self._before = {one: one.progress() for one in self._holders()} if buffers.tight else {}
        if self._memory is not None and (looks or buffers.tight):
            was = buffers.pressed
            buffers.press(self._memory())
            if buffers.pressed and (looks or not was):
                self.trim()
        tight = buffers.tight
        buffers.sweep()
        if tight and not buffers.tight:
            self.trim()
