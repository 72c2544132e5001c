"""Which connections are cut when the buffers of a worker exceed their limit: those that hold the most and move the
least.

A client that reads what it is sent does not hold much for long: its queue shrinks as it reads. So the bytes that a
connection holds, minus those that moved in the last second, are its burden, and the greatest burdens are cut first;
small ones only if cutting all others was not enough. Each is cut so that the peer notices: by a local response if none
has begun, else by a reset.
"""

import ctypes
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

from canaryproxy.dataplane.buffers import Buffers
from canaryproxy.dataplane.slices import Slices

log = logging.getLogger("canaryproxy")

# Holders of fewer bytes are not worth cutting. The second limit applies if cutting all others was not enough:
# otherwise thousands of small holders could have all requests refused for as long as they like.
MIN_SHED_BYTES = 4_096
SMALL_BYTES = 256

# Sweeps from one measurement of progress to the next.
CHECKS = 4

# Holders weighed or cut in one turn of the loop, or measured in one step: all others are served in between. Weighing
# ten thousand and cutting five hundred at once took 20 ms.
WEIGH_BATCH, ABORT_BATCH, NOTED_AT_ONCE = 250, 16, 64

# Idle clients closed at a time when memory is short and no buffer is to blame.
IDLE_BATCH = 64

CUT = "connections were cut: buffers exceed server.limits.buffers, or memory is short"


class BufferHolder(Protocol):
    """Holds bytes: a client connection with its exchange, or a tunnel."""

    def weight(self) -> int:
        """Bytes held now."""

    def progress(self) -> tuple[object, int]:
        """What is under way, and how many of its bytes have moved so far."""

    def shed(self) -> None:
        """End it, and hold nothing for it any more."""


def trim() -> None:
    """Return free memory to the system, which the allocator does not do by itself."""
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(0)


class LoadShedder:
    """Keeps the buffers of a worker within their limit. `holders` are all current ones; long work is done in `slices`;
    `note` logs a cut; `spare` closes an idle client; `memory` is the share of all memory in use, None without a limit.
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
        # Deferred: the caller that wrote may be among those that are cut.
        buffers.crossed = partial(slices.later, self.relieve)

    def __repr__(self) -> str:
        return f"<LoadShedder {self._buffers!r}>"

    def relieve(self) -> None:
        """Cut until enough is free, a few in each turn of the loop. If it fails, the next crossing starts it again."""
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
        """One step per turn of the loop."""
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
        """Cut the greatest burdens first, small holders if that was not enough. Skip a holder that cannot be cut."""
        buffers = self._buffers
        enough = buffers.held - buffers.excess()
        for least, goal in ((MIN_SHED_BYTES, enough), (SMALL_BYTES, buffers.limit)):
            if buffers.held <= goal:
                return
            burdens: list[tuple[int, BufferHolder]] = []
            yield from self._weigh(burdens, least)
            for _, holder in burdens:
                if self._weight(holder) < least:  # closed or served since
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
        """Collect into `burdens` the holders worth cutting, the greatest burden first."""
        for number, holder in enumerate(list(self._holders()), 1):
            weight = self._weight(holder)
            if weight >= least:
                what, moved = holder.progress()
                before = self._before.get(holder)
                since = moved - before[1] if before is not None and before[0] is what else moved
                burdens.append((weight - since, holder))
            if number % WEIGH_BATCH == 0:
                yield
        burdens.sort(key=lambda one: one[0], reverse=True)

    def _weight(self, holder: BufferHolder) -> int:
        """Bytes that a holder holds; 0 if that fails, so that one does not prevent the others from being cut."""
        try:
            return holder.weight()
        except Exception:
            log.exception("the buffers of a connection could not be counted: %r", holder)
            return 0

    def _check(self) -> None:
        """Measure the progress of all holders, in slices; of none if the buffers are no longer tight."""
        before: dict[BufferHolder, tuple[object, int]] = {}

        def note(some: list[BufferHolder]) -> None:
            before.update((one, one.progress()) for one in some)

        def end() -> None:
            self._before = before

        holders = list(self._holders()) if self._buffers.tight else []
        starts = range(0, len(holders), NOTED_AT_ONCE)
        self._slices.add([*(partial(note, holders[at : at + NOTED_AT_ONCE]) for at in starts), end])

    def sweep(self) -> None:
        """Called a few times per second: measure progress and memory."""
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
