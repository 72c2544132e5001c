"""One worker process as the supervisor sees it: its channel, its process handle and its state."""

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from functools import partial

from canaryproxy.ipc.channel import Channel
from canaryproxy.ipc.codec import UP
from canaryproxy.ipc.messages import Drain, Message, Publication
from canaryproxy.processes.message_validation import WorkerMessageValidator
from canaryproxy.processes.spawn import Handle

Received = Callable[["WorkerLink", Message], None]
Lost = Callable[["WorkerLink"], None]
Refuse = Callable[["WorkerLink", str], None]


@dataclass(eq=False)
class WorkerLink:
    """One worker process; `began` is its first generation. Invalid bytes are passed to `refuse`, with a reason."""

    slot: int
    began: int
    validator: WorkerMessageValidator
    received: InitVar[Received]
    lost: InitVar[Lost]
    refuse: InitVar[Refuse]
    acknowledged: int = field(default=-1, init=False)
    silence: int = field(default=0, init=False)
    unacknowledged: int = field(default=0, init=False)
    unread: int = field(default=0, init=False)
    doomed: bool = field(default=False, init=False)
    strange: bool = field(default=False, init=False)
    cut: int | None = field(default=None, init=False)
    handle: Handle | None = field(default=None, init=False)

    def __post_init__(self, received: Received, lost: Lost, refuse: Refuse) -> None:
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
