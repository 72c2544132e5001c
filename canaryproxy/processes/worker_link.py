"""One worker process as the supervisor sees it: its channel, its process handle and its state."""

from collections.abc import Callable
from functools import partial

from canaryproxy.ipc.channel import Channel
from canaryproxy.ipc.codec import UP
from canaryproxy.ipc.messages import Drain, Message, Publication
from canaryproxy.processes.message_validation import WorkerMessageValidator
from canaryproxy.processes.spawn import Handle


class WorkerLink:
    """One worker process; `began` is its first generation. Invalid bytes are passed to `refuse`, with a reason."""

    def __init__(
        self,
        slot: int,
        began: int,
        validator: WorkerMessageValidator,
        *,
        received: Callable[["WorkerLink", Message], None],
        lost: Callable[["WorkerLink"], None],
        refuse: Callable[["WorkerLink", str], None],
    ) -> None:
        self.slot = slot
        self.began = began
        self.validator = validator
        self.acknowledged = -1
        self.silence = 0
        self.unacknowledged = 0
        self.unread = 0
        self.doomed = False
        self.strange = False
        self.cut: int | None = None
        self.handle: Handle | None = None
        reject = partial(refuse, self)
        self.channel = Channel(partial(received, self), partial(lost, self), UP, refuse=reject, fair=True)

    def __repr__(self) -> str:
        return f"<WorkerLink {self.slot} pid {self.pid} generation {self.acknowledged}>"

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        return self.acknowledged >= 0

    @property
    def pid(self) -> int | None:
        """Its process id, None until known."""
        return None if self.handle is None else self.handle.pid

    def spawned(self, handle: Handle) -> None:
        """The fork server has created the process."""
        if self.doomed:
            handle.kill()
            handle.close()
        else:
            self.handle = handle

    def close(self) -> None:
        """Kill the process and release its handle: the channel is closed."""
        self.kill()
        if self.handle is not None:
            self.handle.close()
            self.handle = None

    def publish(self, publication: Publication) -> None:
        """Send another table."""
        self.validator.published(publication.generation)
        self.channel.send(publication)

    def drain(self) -> None:
        """Order it to drain."""
        self.validator.draining()
        self.channel.send(Drain())

    def kill(self) -> None:
        """Kill it with SIGKILL. While the process is unknown only the channel is cut; `spawned` then kills it."""
        self.doomed = True
        if self.handle is not None:
            self.handle.kill()
        else:
            self.channel.abort()
