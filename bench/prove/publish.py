"""After the 200 nothing follows the old weight: shown from the origins' own logs.

Each request carries the time at which it was made. Between the answer to one change and the call of the next, every
request made must be found at the version that had all the weight.
"""

import contextlib
import itertools
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import Load, read
from bench.processes import program
from bench.prove import DisprovedError
from bench.prove.pacing import end, start
from bench.prove.site import Site, site

SCRIPT = Path(__file__).parent / "stamped.lua"
ORIGINS_FLUSH = 0.5


@contextlib.contextmanager
def wrk(site: Site, connections: int, seconds: int) -> Iterator["subprocess.Popen[str]"]:
    """wrk, as fast as it can."""
    process = subprocess.Popen(
        [
            program("wrk"),
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "20s",
            "-s",
            str(SCRIPT),
            f"http://127.0.0.1:{site.port}",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate()


def result(process: "subprocess.Popen[str]") -> Load:
    """End a wrk; what it did."""
    process.send_signal(signal.SIGINT)
    return read(process.communicate(timeout=60)[0])


def changes(site: Site, times: int) -> list[tuple[int, int, int, float, int]]:
    """Set the weight to 100 and 0 in turn: (percent, call began, answer came, seconds, status); ns."""
    done = []
    for number in range(times):
        percent = 100 if number % 2 == 0 else 0
        began, clock = time.time_ns(), time.perf_counter()
        status = site.weigh(percent)
        done.append((percent, began, time.time_ns(), time.perf_counter() - clock, status))
        time.sleep(0.03)
    return done


def strays(site: Site, done: list[tuple[int, int, int, float, int]]) -> tuple[int, int]:
    """(requests made between an answer and the next call, those of them that followed the old weight)."""
    time.sleep(ORIGINS_FLUSH)
    spans = [
        (answered, following[1], percent)
        for (percent, _, answered, _, status), following in itertools.pairwise(done)
        if status == 200
    ]
    seen = wrong = 0
    for name, full in (("stable", 0), ("canary", 100)):
        stamps = sorted(
            int(line.rpartition("/")[2]) for line in site.logs[name].read_text().splitlines() if "/at/" in line
        )
        span = iter(spans)
        current = next(span, None)
        for stamp in stamps:
            while current is not None and stamp >= current[1]:
                current = next(span, None)
            if current is None:
                break
            if stamp > current[0]:
                seen += 1
                wrong += current[2] != full
    return seen, wrong


def saturated(times: int = 200) -> str:
    """4 workers under wrk: the weight goes 0 -> 100 -> 0 a hundred times."""
    with site(4, logged=True) as made, wrk(made, 64, 120) as load:
        time.sleep(1)
        done = changes(made, times)
        requests, errors, _, _ = result(load)
        seen, wrong = strays(made, done)
    took = sorted(one[3] for one in done)
    refused = [one[4] for one in done if one[4] != 200]
    said = (
        f"{times} changes under {requests:,} requests of a saturated instance of 4 workers: of {seen:,} requests made "
        f"between an answer and the next change {wrong} followed the old weight, {errors} failed; "
        f"a change took {1000 * statistics.median(took):.1f} ms (median), {1000 * took[-1]:.0f} ms at most"
    )
    if wrong or errors or refused or not seen:
        raise DisprovedError(f"{said}; {len(refused)} changes not answered 200")
    return said


def paced(rate: int = 2000, times: int = 100) -> str:
    """2 workers at a paced rate: the call's median."""
    with site(2, logged=True) as made:
        load = start(made.port, rate)
        time.sleep(1)
        done = changes(made, times)
        failed = end(load)
        seen, wrong = strays(made, done)
    took = sorted(one[3] for one in done)
    median = 1000 * statistics.median(took)
    said = (
        f"{times} changes at {rate:,} requests/s, 2 workers: median {median:.1f} ms, "
        f"95 % {1000 * took[int(len(took) * 0.95)]:.1f} ms; "
        f"{seen:,} requests between, {wrong} followed the old weight, {len(failed)} failed"
    )
    if median >= 20 or wrong or failed or not seen:
        raise DisprovedError(said)
    return said


def stopped_worker() -> str:
    """The same with a worker that is stopped: the answer comes in time and is true."""
    with site(4, logged=True) as made, wrk(made, 64, 60) as load:
        time.sleep(1)
        victim = made.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        done = changes(made, 20)
        result(load)
        seen, wrong = strays(made, done)
        gone = victim not in made.workers()
    statuses = sorted({one[4] for one in done})
    slowest = max(one[3] for one in done)
    said = (
        f"one of 4 workers stopped: first change answered {done[0][4]} after {done[0][3]:.2f} s, the "
        f"worker was replaced ({'yes' if gone else 'no'}), 20 changes answered {statuses}, {slowest:.2f} s at most; "
        f"of {seen:,} requests between {wrong} followed the old weight"
    )
    if wrong or slowest > 5.5 or not set(statuses) <= {200, 504} or not gone:
        raise DisprovedError(said)
    return said
