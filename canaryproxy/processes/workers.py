"""Starting, supervising and replacing workers, and publishing tables to them.

A table is in effect once each worker has acknowledged it or has ended: a successor starts with the newest table. A
worker that does not acknowledge within two seconds, or sends nothing for ten, is killed, as is one whose message is
invalid (`message_validation`). Times are counted in ticks of this process: a supervisor that was itself stopped must
not blame its workers.
"""

import asyncio
import logging
import socket
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from canaryproxy.ipc.build_identity import difference as what_differs
from canaryproxy.ipc.build_identity import own_build
from canaryproxy.ipc.messages import Acknowledged, Certificates, Drained, Introduction, Message, WorkerConfig
from canaryproxy.ipc.table_diff import EMPTY, diff
from canaryproxy.model.certificate import ListenerTls
from canaryproxy.model.report import Delta
from canaryproxy.model.table import RoutingTable
from canaryproxy.processes.known_names import KnownNames
from canaryproxy.processes.message_validation import OutOfBoundsError, WorkerMessageValidator
from canaryproxy.processes.spawn import Spawned
from canaryproxy.processes.subscriptions import Deltas, WorkerGone, WorkerReport, WorkersChanged
from canaryproxy.processes.worker_link import WorkerLink

log = logging.getLogger("canaryproxy")

# Seconds.
TICK_SECONDS = 0.25

# Ticks after which a worker is replaced that does not acknowledge, or that sends or reads nothing.
UNACKNOWLEDGED = 8
SILENT_TICKS = 40

# Ticks that a report's time may lie in the past; an older one would delay the analysis.
LATE_TICKS = 80

GARBLED, BOUNDS, FAILED = "garbled", "bounds", "failed"
# Why a worker was killed: message not decodable, out of bounds, or processing it failed.
REJECTION_REASONS = (GARBLED, BOUNDS, FAILED)

# Seconds before a worker that died before it was ready is restarted, doubled each time.
MIN_BACKOFF_SECONDS = 0.1
MAX_BACKOFF_SECONDS = 5.0

# Seconds that workers get beyond the configured drain time.
DRAIN_MARGIN_SECONDS = 2.0


class TrafficControl(Protocol):
    """The data plane as the controller uses it."""

    def publish(self, table: RoutingTable) -> None:
        """Decide request heads by `table` as soon as possible."""

    def update_certificates(self, certificates: list[ListenerTls | None]) -> None:
        """Replace the certificates of the listeners, in their order."""

    async def acknowledged(self, generation: int) -> None:
        """Return once every worker uses that generation or a later one. Raises `NotAcknowledgedError`."""


class NotAcknowledgedError(Exception):
    """Not every worker has acknowledged a table in time."""


class IncompatibleWorkerError(Exception):
    """Workers cannot be started, or are of another build; the message is one line for the user."""


class Launch(Protocol):
    """Starts worker processes."""

    def start(self, cannot_spawn: Callable[[str], None]) -> None:
        """Prepare to launch; `cannot_spawn` is called with the reason where no worker can be created."""

    def spawn(self, spawned: Spawned) -> socket.socket:
        """Start a worker; returns our end of its channel. `spawned` gets its handle."""

    def retire(self) -> None:
        """Launch no more; close the listening sockets of this side."""

    def abort(self) -> None:
        """Kill all workers."""


class Workers:
    """`count` workers, kept alive. `begin` makes the first message for a slot; table and newer certificates are added
    here. `deltas` gets their reports, starts and ends. `stranded` is set when no worker is left and none can be
    started; `problem` says why.
    """

    def __init__(self, count: int, processes: Launch, begin: Callable[[int], WorkerConfig], deltas: Deltas) -> None:
        self.count = count
        self.restarts = 0
        self.refused = Counter(dict.fromkeys(REJECTION_REASONS, 0))
        self.problem = ""
        self.stranded = asyncio.Event()
        self._started = False
        self._processes = processes
        self._worker_config = begin
        self._deltas = deltas
        self._certificates: list[ListenerTls | None] | None = None
        self._table = EMPTY
        self._known_names = KnownNames()
        self._ticks: deque[float] = deque(maxlen=LATE_TICKS)
        self._links: dict[int, WorkerLink] = {}
        self._failures = [0] * count
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._watching: asyncio.Task[None] | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self.draining = False
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"<Workers {self.ready} of {self.count} ready, generation {self._table.generation}>"

    @property
    def ready(self) -> int:
        """Workers that serve."""
        return sum(link.ready for link in self._links.values())

    @property
    def pids(self) -> list[int]:
        """Pids of the workers whose process is known, by slot."""
        return [link.pid for _, link in sorted(self._links.items()) if link.pid is not None]

    async def start(self) -> None:
        """Start all workers; returns when they serve. A table must be published. Raises `IncompatibleWorkerError`."""
        try:
            self._processes.start(self._give_up)
        except OSError as error:
            raise IncompatibleWorkerError(f"the fork server cannot be started: {error.strerror or error}") from None
        for slot in range(self.count):
            self._launch(slot)
        self._watching = self._loop.create_task(self._watch())
        await self._wait(lambda: self.problem != "" or self.ready == self.count)
        if self.problem:
            raise IncompatibleWorkerError(self.problem)
        self._started = True

    def _give_up(self, problem: str) -> None:
        """No usable worker will start."""
        if not self._started:
            self.problem = self.problem or problem
            self._settle()
            return
        self.problem = problem
        if not self.ready and not self.draining:
            self.stranded.set()

    def _launch(self, slot: int) -> None:
        if self.draining:
            return
        began = self._table.generation
        validator = WorkerMessageValidator(self._known_names, began, self._loop.time())
        garbled = partial(self._refuse, reason=GARBLED)
        link = WorkerLink(slot, began, validator, received=self._received, lost=self._lost, refuse=garbled)
        try:
            sock = self._processes.spawn(link.spawned)
        except OSError as error:
            delay = self._delay(slot)
            log.error("worker %d cannot be started: %s; trying again in %g s", slot + 1, error, delay)
            self._loop.call_later(delay, self._launch, slot)
            return
        self._links[slot] = link
        link.channel.send(self._first_message(slot))
        connecting = self._loop.create_task(link.channel.connect(self._loop, sock))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)

    def _first_message(self, slot: int) -> WorkerConfig:
        first = replace(self._worker_config(slot), table=diff(EMPTY, self._table))
        if self._certificates is None:
            return first
        pairs = zip(first.listeners, self._certificates, strict=True)
        return replace(first, listeners=tuple(replace(one, tls=tls) for one, tls in pairs))

    # Tables.

    def publish(self, table: RoutingTable) -> None:
        """Send a table to all workers."""
        publication = diff(self._table, table)
        self._table = table
        self._known_names.add(publication)
        for link in self._links.values():
            link.publish(publication)

    async def acknowledged(self, generation: int, patience: float | None = 5.0) -> None:
        """Return once no head is decided by an older table. Raises `NotAcknowledgedError` after `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                await self._wait(lambda: self._has_generation(generation))
        except TimeoutError:
            raise NotAcknowledgedError(f"not every worker has acknowledged generation {generation}") from None

    def _has_generation(self, generation: int) -> bool:
        """A worker never uses a table older than its first one."""
        return all(max(link.acknowledged, link.began) >= generation for link in self._links.values())

    async def _wait(self, condition: Callable[[], bool]) -> None:
        if condition():
            return
        future = self._loop.create_future()
        self._waiters.append((condition, future))
        try:
            await future
        finally:
            self._waiters.remove((condition, future))

    def _settle(self) -> None:
        for condition, future in self._waiters:
            if not future.done() and condition():
                future.set_result(None)

    def update_certificates(self, certificates: list[ListenerTls | None]) -> None:
        """Replace the certificates of the listeners, in their order."""
        self._certificates = certificates
        for link in self._links.values():
            link.channel.send(Certificates(tuple(certificates)))

    # What workers say.

    def _received(self, link: WorkerLink, message: Message) -> None:
        if link.strange:
            return
        try:
            # No floor until LATE_TICKS have passed: at start reports of any age are timely.
            link.validator.check(message, self._loop.time(), self._ticks[0] if len(self._ticks) == LATE_TICKS else 0.0)
        except OutOfBoundsError as error:
            self._refuse(link, str(error), BOUNDS)
            return
        link.silence = 0
        if isinstance(message, Delta):
            self._file(link, message)
        elif isinstance(message, Introduction):
            self._introduced(link, message)
        elif isinstance(message, Acknowledged):
            fresh = not link.ready
            link.acknowledged = message.generation
            link.unacknowledged = 0
            if fresh:
                self._failures[link.slot] = 0
                self._deltas.publish(WorkersChanged(f"worker {link.slot + 1} serves"))
            self._settle()
        elif isinstance(message, Drained):
            link.cut = message.cut

    def _file(self, link: WorkerLink, delta: Delta) -> None:
        """Process a report; if that fails, drop the worker and go on with the reports of others."""
        try:
            self._deltas.publish(WorkerReport(link.slot, delta))
        except Exception as error:
            log.exception("the report of worker %d could not be processed", link.slot + 1)
            self._refuse(link, f"{type(error).__name__} while it was processed", FAILED)

    def _refuse(self, link: WorkerLink, words: str, reason: str) -> None:
        """Kill a worker whose message no worker of ours would send: it may be compromised."""
        self.refused[reason] += 1
        fields = {"action": "refuse", "worker": link.slot + 1, "pid": link.pid, "reason": reason}
        message = "worker %d (pid %s) is killed and replaced, its message is rejected: %s"
        log.error(message, link.slot + 1, link.pid, words, extra={"fields": fields})
        link.kill()
        link.channel.abort()

    def _introduced(self, link: WorkerLink, introduction: Introduction) -> None:
        """Only a worker of the same build may serve."""
        words = what_differs(introduction, own_build())
        if words:
            link.strange = True
            link.kill()
            link.channel.abort()
            problem = f"worker {link.slot + 1} cannot be used: {words}; restart canaryproxy to run one of them alone"
            if self._started:
                log.error("%s", problem)
            self._give_up(problem)

    def _lost(self, link: WorkerLink) -> None:
        """The channel is closed: kill the process, if it still runs, and replace it."""
        pid = link.pid
        link.close()
        if self._links.get(link.slot) is not link:
            return
        del self._links[link.slot]
        self._deltas.publish(WorkerGone(link.slot))
        self._settle()
        if self.draining:
            return
        self.restarts += 1
        if link.ready:
            log.warning("worker %d (pid %s) ended; it is replaced", link.slot + 1, pid)
            self._launch(link.slot)
        else:
            delay = self._delay(link.slot)
            log.error("worker %d died before it was ready; restarting in %g s", link.slot + 1, delay)
            self._loop.call_later(delay, self._launch, link.slot)
        self._deltas.publish(WorkersChanged(f"worker {link.slot + 1} ended"))

    def _delay(self, slot: int) -> float:
        """Seconds before the next attempt, after one more failure."""
        delay: float = min(MIN_BACKOFF_SECONDS * 2 ** self._failures[slot], MAX_BACKOFF_SECONDS)
        self._failures[slot] += 1
        return delay

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._ticks.append(self._loop.time())
            for link in list(self._links.values()):
                self._watch_one(link)

    def _watch_one(self, link: WorkerLink) -> None:
        link.silence += 1
        behind = link.ready and link.acknowledged < self._table.generation
        link.unacknowledged = link.unacknowledged + 1 if behind else 0
        link.unread = link.unread + 1 if link.channel.congested else 0
        if link.doomed or self.draining:
            return
        behaviours = (
            (link.unacknowledged > UNACKNOWLEDGED, "does not acknowledge"),
            (link.silence > SILENT_TICKS, "is silent"),
            (link.unread > SILENT_TICKS, "does not read its messages"),
        )
        reason = next((words for bad, words in behaviours if bad), "")
        if reason:
            log.error("worker %d (pid %s) %s; it is killed", link.slot + 1, link.pid, reason)
            link.kill()

    # The end.

    async def drain(self, patience: float) -> int:
        """Drain all workers within `patience` seconds; returns the number of exchanges that were cut."""
        self.draining = True
        self._processes.retire()
        links = list(self._links.values())
        for link in links:
            link.drain()
        deadline = self._loop.time() + patience + DRAIN_MARGIN_SECONDS
        while self._links and self._loop.time() < deadline:  # noqa: ASYNC110 - a few looks a second, once in a life
            await asyncio.sleep(TICK_SECONDS / 10)
        self.abort()
        return sum(link.cut or 0 for link in links)

    def abort(self) -> None:
        """Kill all workers now."""
        self.draining = True
        for link in list(self._links.values()):
            link.kill()
            link.channel.abort()
        self._processes.abort()
        if self._watching is not None:
            self._watching.cancel()
