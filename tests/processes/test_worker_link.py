"""What becomes of a worker's process and its link, in whatever order things happen."""

import asyncio
import os
import signal
import subprocess
import sys

from canaryproxy.ipc.build_identity import own_build
from canaryproxy.ipc.codec import Decoder
from canaryproxy.ipc.messages import Acknowledged, Drain, Drained, Publication
from canaryproxy.processes.known_names import KnownNames
from canaryproxy.processes.message_validation import WorkerMessageValidator
from canaryproxy.processes.spawn import Handle
from canaryproxy.processes.worker_link import WorkerLink
from tests.support.cluster import run


def made() -> WorkerLink:
    border = WorkerMessageValidator(KnownNames(), 1, 0.0)
    link = WorkerLink(2, 1, border, received=lambda *_: None, lost=lambda _: None, refuse=lambda *_: None)
    for message in (own_build(), Acknowledged(1)):
        border.check(message, 1.0)
    return link


def sleeping() -> tuple["subprocess.Popen[bytes]", Handle]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return process, Handle(process.pid, os.pidfd_open(process.pid))


def test_one_that_was_doomed_before_it_was_born_is_killed_at_birth() -> None:
    process, handle = sleeping()
    link = made()
    link.kill()
    link.spawned(handle)
    assert process.wait(60) == -signal.SIGKILL
    assert (link.pid, link.ready) == (None, False)


def test_one_whose_link_is_gone_is_killed() -> None:
    process, handle = sleeping()
    link = made()
    link.spawned(handle)
    assert link.pid == process.pid
    link.close()
    assert process.wait(60) == -signal.SIGKILL
    assert link.pid is None


def test_what_it_is_sent_it_may_answer() -> None:
    """A table can be acknowledged once it was sent, and an end once it was asked for."""

    async def test() -> None:
        link = made()
        link.publish(Publication(2, ()))
        link.validator.check(Acknowledged(2), 1.0)
        link.drain()
        link.validator.check(Drained(0), 1.0)
        sent = [message for data in link.channel._waiting for message in Decoder().feed(data)]
        assert sent == [Publication(2, ()), Drain()]
        await asyncio.sleep(0)

    run(test())
