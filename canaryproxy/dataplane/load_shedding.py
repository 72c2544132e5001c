"""Who is cut where the buffers of a worker hold more than they may: those who hold the most and move the least.

A client that takes what it is sent holds little for long: while it is tight, its queue shrinks as it reads. One that
does not keeps what it has. So what a connection holds, less what moved in the last second, says which is the greatest
burden; small holders are cut where all others were not enough. Each is cut so that it can tell: by an answer of our own
where none has begun, else by a reset.
"""

import ctypes
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

from canaryproxy.dataplane.buffers import Buffers
from canaryproxy.dataplane.slices import Slices

log = logging.getLogger("canaryproxy")

MIN_SHED_BYTES = 4_096
SMALL_BYTES = 256
"""Bytes below which cutting one is not worth it; the second where cutting all others was not enough: thousands of small
holders would else have everybody refused for as long as they like."""

CHECKS = 4
"""Sweeps from one look at what moves to the next."""

WEIGH_BATCH, ABORT_BATCH, NOTED_AT_ONCE = 250, 16, 64
"""Holders that are weighed, or cut, in one turn of the loop, or whose progress is noted in one step: all others are
served in between. To weigh ten thousand and cut five hundred at once took 20 ms."""

IDLE_BATCH = 64
"""Idle clients that are closed at a time where memory is short and no buffer is to blame."""

CUT = "connections were cut, the buffers hold more than server.limits.buffers allows or memory is short"


class BufferHolder(Protocol):
    """What holds bytes: a client's connection with its exchange, or a tunnel."""

    def weight(self) -> int:
        """Bytes that are held for it now."""

    def progress(self) -> tuple[object, int]:
        """What it is at, and how many bytes of that have moved so far."""

    def shed(self) -> None:
        """End it, and hold nothing for it any more."""


def trim() -> None:
    """Give memory that is free back to the system, which the allocator does not do by itself."""
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(0)


class LoadShedder:
    """Keeps the buffers of a worker within their limit. `holders` are all there are now; what takes long is done in
    `slices`; `note` says in the log that one was cut; `spare` closes an idle client; `memory` is the share of
    all memory that is in use, None where there is no limit.
    """

    def __init__(
        self,
        buffers: Buffers,
        holders: Callable[[], Iterable[BufferHolder]],
        slices: Slices,
        note: Callable[[str], None],
        memory: Callable[[], float] | None = None,
        spare: Callable[[], bool] = lambda: False,
    ) -> None:
        self._buffers = buffers
        self._holders = holders
        self._slices = slices
        self._note = note
        self._memory = memory
        self._before: dict[BufferHolder, tuple[object, int]] = {}
        self._relief: Iterator[None] | None = None
        self._cuts = 0
        self._sweeps = 0
        self.spare = spare
        self.trim: Callable[[], None] = trim
        buffers.crossed = self._crossed

    def __repr__(self) -> str:
        return f"<LoadShedder {self._buffers!r}>"

    def _crossed(self) -> None:
        """Not from within whatever wrote: it may be among those that are cut."""
        self._slices.later(self.relieve)

    def relieve(self) -> None:
        """Cut until enough is free, a few in a turn of the loop. Whatever goes wrong, the next crossing calls again."""
        if self._relief is None:
            self._relief = self._relieved()
        try:
            next(self._relief)
        except StopIteration:
            self._relief = None
        except BaseException:
            self._relief = None
            raise
        else:
            self._slices.later(self.relieve)

    def _relieved(self) -> Iterator[None]:
        """The turns that it takes."""
        before = self._cuts
        try:
            yield from self._cut()
            if self._buffers.pressed and self._cuts == before:
                for _ in range(IDLE_BATCH):
                    if not self.spare():
                        break
        finally:
            self._buffers.settle(self._cuts - before)

    def _cut(self) -> Iterator[None]:
        """Those that hold too much, the greatest burden first; small ones where all others were not enough. One that
        cannot be cut keeps no other from it.
        """
        buffers = self._buffers
        enough = buffers.held - buffers.excess()
        for least, goal in ((MIN_SHED_BYTES, enough), (SMALL_BYTES, buffers.limit)):
            if buffers.held <= goal:
                return
            burdens: list[tuple[int, BufferHolder]] = []
            yield from self._weigh(burdens, least)
            for _, holder in burdens:
                if self._weight(holder) < least:  # it went, or was served, meanwhile
                    continue
                self._shed(holder)
                if buffers.held <= enough:
                    return
                if self._cuts % ABORT_BATCH == 0:
                    yield
                else:
                    self._slices.attend()

    def _shed(self, holder: BufferHolder) -> None:
        try:
            holder.shed()
        except Exception:
            log.exception("a connection could not be cut: %r", holder)
        self._cuts += 1
        self._before.pop(holder, None)
        self._note(CUT)

    def _weigh(self, burdens: list[tuple[int, BufferHolder]], least: int = MIN_SHED_BYTES) -> Iterator[None]:
        """Put those into `burdens` that are worth cutting, the greatest burden first."""
        for number, holder in enumerate(list(self._holders()), 1):
            weight = self._weight(holder)
            if weight >= least:
                burdens.append((weight - self._moved(holder), holder))
            if number % WEIGH_BATCH == 0:
                yield
        burdens.sort(key=lambda one: one[0], reverse=True)

    def _weight(self, holder: BufferHolder) -> int:
        """What it holds; nothing where that cannot be said, so that one keeps no other from being cut."""
        try:
            return holder.weight()
        except Exception:
            log.exception("a connection could not be weighed: %r", holder)
            return 0

    def _moved(self, holder: BufferHolder) -> int:
        """Bytes since the last look."""
        what, moved = holder.progress()
        before = self._before.get(holder)
        return moved - before[1] if before is not None and before[0] is what else moved

    def _check(self) -> None:
        """Note how far everybody has come, in slices; nothing where it is not tight any more."""
        before: dict[BufferHolder, tuple[object, int]] = {}

        def note(some: list[BufferHolder]) -> None:
            before.update((one, one.progress()) for one in some)

        def end() -> None:
            self._before = before

        holders = list(self._holders()) if self._buffers.tight else []
        starts = range(0, len(holders), NOTED_AT_ONCE)
        self._slices.add([*(partial(note, holders[at : at + NOTED_AT_ONCE]) for at in starts), end])

    def sweep(self) -> None:
        """Called a few times a second: look at what moves, and at the memory."""
        buffers = self._buffers
        self._sweeps += 1
        looks = self._sweeps % CHECKS == 0
        if looks and (buffers.tight or self._before):
            self._check()
        if self._memory is not None and (looks or buffers.tight):
            was = buffers.pressed
            buffers.set_pressure(self._memory())
            if buffers.pressed and (looks or not was):
                self.trim()
        tight = buffers.tight
        buffers.sweep()
        if tight and not buffers.tight:
            self.trim()
