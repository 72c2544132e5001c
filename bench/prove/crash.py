"""Processes that die or stop: what it costs clients, and what comes back."""

import asyncio
import contextlib
import http.client
import os
import random
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.prove import DisprovedError
from bench.prove.pacing import end, start
from bench.prove.site import Site, site

SLOWEST = 0.2
"""Seconds in which a newcomer must be served."""

BACK = 1.0
"""Seconds in which as many workers must serve as before."""

LISTENING = 0
"""The port at the other end of a socket that listens."""


@dataclass
class Newcomers:
    """Clients that each open a connection, ask once, and go."""

    served: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)
    """The port that it was sent from, and what came."""


async def _newcomers(port: int, stop: threading.Event, found: Newcomers) -> None:
    while not stop.is_set():
        began = time.monotonic()
        local = 0
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            local = writer.get_extra_info("sockname")[1]
            writer.write(b"GET /new HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
            data = await reader.read()
            writer.close()
        except OSError as error:
            data = repr(error).encode()
        if data.startswith(b"HTTP/1.1 200"):
            found.served += 1
            found.slowest = max(found.slowest, time.monotonic() - began)
        else:
            found.failures.append(f"{local} {data[:60].decode('latin-1') or 'closed without an answer'}")
        await asyncio.sleep(0.005)


def _back(site: Site, count: int, began: float) -> float:
    """Seconds until so many workers serve."""
    while site.metrics()["canaryproxy_workers"] < count:
        if time.monotonic() - began > 10:
            raise DisprovedError("a worker does not come back")
        time.sleep(0.01)
    return time.monotonic() - began


def clients_of(pid: int, port: int) -> set[int]:
    """The ports of clients that a process has connections with on its own `port`, from the kernel's tables."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    ends = [(row[1].partition(":")[2], row[2].partition(":")[2]) for row in rows if row[9] in inodes]
    return {int(remote, 16) for ours, remote in ends if int(ours, 16) == port} - {LISTENING}


def killed_workers(seconds: int = 20, workers: int = 4) -> str:
    """Kill -9 of a random worker every second under load."""
    rng = random.Random(20)
    with site(workers) as made:
        made.weigh(20)
        stop, found = threading.Event(), Newcomers()
        threads = [
            threading.Thread(target=lambda: asyncio.run(_newcomers(made.port, stop, found))),
            threading.Thread(target=lambda: _watch_counters(made, stop, backwards)),
        ]
        backwards: list[str] = []
        load = start(made.port, 1000)
        for thread in threads:
            thread.start()
        time.sleep(1)
        slowest_back = 0.0
        theirs: set[int] = set()
        for _ in range(seconds):
            began = time.monotonic()
            restarts = made.metrics()["canaryproxy_worker_restarts_total"]
            victim = rng.choice(made.workers())
            os.kill(victim, signal.SIGSTOP)
            theirs |= clients_of(victim, made.port)
            os.kill(victim, signal.SIGKILL)
            while made.metrics()["canaryproxy_worker_restarts_total"] == restarts:
                time.sleep(0.005)
            slowest_back = max(slowest_back, _back(made, workers, began))
            time.sleep(max(0.0, began + 1 - time.monotonic()))
        stop.set()
        lost = end(load)
        for thread in threads:
            thread.join()
    failed = [*found.failures, *lost]
    others = [one for one in failed if int(one.partition(" ")[0]) not in theirs]
    said = (
        f"{seconds} workers of {workers} killed, one a second: {found.served:,} new connections served, "
        f"{len(found.failures)} cut, the slowest after {1000 * found.slowest:.0f} ms; {len(lost)} requests on 20 "
        f"connections that stay failed; {len(others)} of all failures were not connections of a killed worker; workers "
        f"back within {1000 * slowest_back:.0f} ms; {len(backwards)} counters went backwards"
    )
    if found.slowest > SLOWEST or slowest_back > BACK or backwards or others or not lost:
        raise DisprovedError(f"{said}; {backwards[:3]} {others[:3]}")
    return said


def _watch_counters(site: Site, stop: threading.Event, backwards: list[str]) -> None:
    before: dict[str, float] = {}
    while not stop.is_set():
        now = site.metrics()
        monotone = {
            name: value for name, value in now.items() if "_total" in name or "_bucket" in name or "_count" in name
        }
        backwards += [name for name, value in monotone.items() if value < before.get(name, 0)]
        backwards += [name for name in before if name not in now]
        before = monotone
        time.sleep(0.05)


def killed_instance(times: int = 200) -> str:
    """Kill -9 of the whole instance at random moments while weights and rules are written."""
    rng = random.Random(200)
    acknowledged = 0
    with site(2, "{folder}/state.db") as made:
        for number in range(times):
            known = _written(made, rng, number)
            acknowledged += known[2]
            made.proxy.wait()
            all_gone(made)
            made.start()
            _check(made, known, number)
    return (
        f"{times} times: {acknowledged:,} acknowledged writes, each was there after the restart "
        "(or one that was under way when it happened); no corruption"
    )


Known = tuple[list[float], list[list[str]], int]
"""Weights and lists of rule names that may be found now, and how many writes were acknowledged."""


def _written(site: Site, rng: random.Random, number: int) -> Known:
    """Write until a kill strikes at a random moment; what may be found afterwards."""
    deadline = time.monotonic() + rng.uniform(0.0, 0.12)
    state = site.call("GET", "/api/v1/routes/default")[1]
    weight, rules, count = state["weight"], [rule["name"] for rule in state["rules"]], 0
    killer = threading.Timer(max(0.0, deadline - time.monotonic()), _kill, (site,))
    killer.start()
    weights, lists = [weight], [rules]
    step = 0
    while True:
        step += 1
        try:
            if step % 2:
                wanted = round(rng.uniform(0, 100), 2)
                weights = [weight, wanted]
                if site.weigh(wanted) != 200:
                    raise DisprovedError("a write was refused")
                weight, weights = wanted, [wanted]
            else:
                name = f"r-{number}-{step}"
                lists = [rules, [*rules, name]]
                status = site.call(
                    "POST", "/api/v1/routes/default/rules", {"name": name, "headers": {"x-user": name}, "to": "canary"}
                )[0]
                if status != 201:
                    raise DisprovedError(f"a rule was refused: {status}")
                rules = [*rules, name]
                lists = [rules]
            count += 1
        except (OSError, ValueError, http.client.HTTPException):
            break
    killer.join()
    return weights, lists, count


def _kill(site: Site) -> None:
    os.kill(site.proxy.pid, signal.SIGKILL)


def all_gone(site: Site) -> None:
    """The workers end with their supervisor: the port is free again."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", site.port))
            except OSError:
                time.sleep(0.01)
                continue
            return
    raise DisprovedError("workers outlive their supervisor")


def _check(site: Site, known: Known, number: int) -> None:
    state = site.call("GET", "/api/v1/routes/default")[1]
    names = [rule["name"] for rule in state["rules"]]
    if state["weight"] not in known[0] or names not in known[1] or state["reason"] is not None:
        raise DisprovedError(
            f"round {number}: {state['weight']}, {names[-3:]}; expected {known[0]}, {[k[-3:] for k in known[1]]}"
        )


def stopped_supervisor() -> str:
    """A supervisor stopped for 5 s costs no request."""
    with site(2) as made:
        load = start(made.port, 1000)
        time.sleep(1)
        os.kill(made.proxy.pid, signal.SIGSTOP)
        time.sleep(5)
        os.kill(made.proxy.pid, signal.SIGCONT)
        time.sleep(1.5)
        restarts = made.metrics()["canaryproxy_worker_restarts_total"]
        lost = end(load)
        time.sleep(0.5)
        counted = sum(value for name, value in made.metrics().items() if name.startswith("canaryproxy_requests_total"))
    said = (
        f"stopped for 5 s at 1,000 requests/s: {len(lost)} failed, {restarts:.0f} workers replaced, "
        f"{counted:,.0f} requests counted"
    )
    if lost or restarts or counted < 6000:
        raise DisprovedError(f"{said} {lost[:3]}")
    return said
