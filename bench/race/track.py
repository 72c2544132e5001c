"""The track: a machine whose cores are given out, two origins, and runners that are up but not asked yet.

Proxies have core 0, the load and both origins core 1. All runners of a part are up at once, one is loaded at a time.
"""

import contextlib
import http.client
import resource
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.ports import free_port
from bench.processes import family, process_seconds, rss_bytes, running
from bench.race.compile import compiled
from bench.race.load import Answers, load
from bench.race.peers import Certificate, Command, Peer, Place

PROXY_CORE, LOAD_CORE, ALL_CORES = 0, 1, "0,1"
FILES, FEWEST_FILES = 65_536, 12_000
WARM_MILLISECONDS = 700
CANARY_SHARE = (0.08, 0.12)
ENOUGH = 1000
PATIENCE = 15.0


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU: of all processes together, and of all but the busiest: what a supervisor takes."""

    seconds: float
    aside: float


def cost(before: Mapping[int, float], after: Mapping[int, float]) -> Cost:
    """What was used between two looks. A process that came in between began at nothing."""
    used = [seconds - before.get(member, 0) for member, seconds in after.items()]
    return Cost(sum(used), sum(used) - max(used))


@dataclass(frozen=True)
class Runner:
    """A peer that is up. `setting`: what of it is varied in this part."""

    peer: Peer
    port: int
    pid: int
    setting: str = ""

    def cpu(self) -> dict[int, float]:
        """Seconds of CPU so far, process by process."""
        return {member: process_seconds(member) for member in family(self.pid)}

    def resident(self) -> int:
        """Bytes, of all its processes."""
        return sum(map(rss_bytes, family(self.pid)))

    def asked(self, *options: str | int) -> tuple[Cost, Answers]:
        """Load it; the CPU of exactly the requests that were answered, and the answers."""
        with load(self.peer.name, self.port, *options, core=LOAD_CORE) as one:
            before = self.cpu()
            answers = one.go()
            return cost(before, self.cpu()), answers


class Track:
    """Origins that run; `enter` brings a runner up for as long as a stack is open."""

    def __init__(self, folder: Path, stable: int, canary: int) -> None:
        self._folder, self._stable, self._canary = folder, stable, canary
        self._entered = 0

    def enter(
        self,
        stack: contextlib.ExitStack,
        peer: Peer,
        *,
        command: Callable[[Place], Command] | None = None,
        setting: str = "",
        tls: bool = False,
        cores: int | str = PROXY_CORE,
        options: Sequence[str | int] = (),
    ) -> Runner:
        """Start a peer, see that it does the work, warm it. `command` instead of its own; `options` of the load."""
        self._entered += 1
        folder = self._folder / str(self._entered)
        folder.mkdir(mode=0o755)
        certificate = certify(folder) if tls else None
        place = Place(folder, free_port(), self._stable, self._canary, certificate)
        how = (command or peer.command)(place)
        log = folder / "output"
        try:
            pid = stack.enter_context(
                running(how.words, port=place.listen, core=cores, log=log, environment=how.environment)
            )
        except RuntimeError as error:
            sys.exit(f"{peer.name}: {error}\n{log.read_text()}")
        wait_until_served(place)
        runner = Runner(peer, place.listen, pid, setting)
        if not tls and not setting:
            self._see(runner)
        secure = ("--tls",) if tls else ()
        runner.asked("--milliseconds", WARM_MILLISECONDS, *secure, *options)
        return runner

    def _see(self, runner: Runner) -> None:
        """Are the fields there, and the split? Affinity keeps users, so every request is a new one's."""
        head = ask(runner.port, "/echo").lower()
        lacking = [name for name in runner.peer.fields if f"\n{name}: " not in head]
        if lacking:
            sys.exit(
                f"{runner.peer.name} does not do equal work: {', '.join(lacking)} did not reach the origin\n{head}"
            )
        before = self.counts()
        runner.asked("--fresh", "--milliseconds", 300, "--connections", 16)
        stable, canary = (after - first for after, first in zip(self.counts(), before, strict=True))
        share = canary / (stable + canary)
        if stable + canary > ENOUGH and not CANARY_SHARE[0] < share < CANARY_SHARE[1]:
            sys.exit(f"{runner.peer.name} does not do equal work: {share:.1%} went to the canary")

    def counts(self) -> tuple[int, int]:
        """Requests that each origin has answered."""
        stable, canary = ask(self._stable, "/counts").split()
        return int(stable), int(canary)


def ask(port: int, path: str, *, tls: bool = False) -> str:
    """One request of a path: the body. Raises `OSError` where the answer is not 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        if tls:
            connection.connect()
            connection.sock = unchecked().wrap_socket(connection.sock, server_hostname="shop.example.com")
        connection.request("GET", path, headers={"Host": "shop-0.example.com"})
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise OSError(f"answered with {response.status}")
        return response.read().decode()


def unchecked() -> ssl.SSLContext:
    """TLS that takes any certificate: ours are made on the spot."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def wait_until_served(place: Place) -> None:
    """Some listen before they know their routes. Raises the last `OSError` after a while."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            ask(place.listen, "/", tls=place.certificate is not None)
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def certify(folder: Path) -> Certificate:
    """A certificate for the shop, on P-256 as most have today."""
    issued = trustme.CA().issue_cert("shop.example.com")
    made = Certificate(folder / "chain.pem", folder / "key.pem", folder / "both.pem")
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    made.chain.write_bytes(chain)
    made.key.write_bytes(issued.private_key_pem.bytes())
    made.both.write_bytes(chain + issued.private_key_pem.bytes())
    return made


@contextlib.contextmanager
def track() -> Iterator[Track]:
    """Two origins in one process, on the load's core. Everything started from here may open many files."""
    raise_file_limit()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="race-")))
        folder.chmod(0o755)
        stable, canary = free_port(), free_port()
        command = [str(compiled("origin")), str(stable), str(canary)]
        stack.enter_context(running(command, port=canary, core=LOAD_CORE))
        yield Track(folder, stable, canary)


def raise_file_limit() -> int:
    """Ask for many open files, take what there is; runners inherit it. Ends the run where that is too little."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, max(FILES, most)))
        return FILES
    if most < FEWEST_FILES:
        sys.exit(f"{FEWEST_FILES} open files are needed and {most} allowed: ulimit -Hn {FILES}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
