"""How connections spread over workers that share one listening socket: python -m bench.micro.spread

64 connections of wrk, saturated and held back, on 4 workers; five times each.
"""

import statistics
import time

from bench.prove.crash import clients_of
from bench.prove.pacing import end, start
from bench.prove.publish import result, wrk
from bench.prove.site import site

WORKERS = 4
TIMES = 5


def counted(port: int, pids: list[int]) -> list[int]:
    """The connections of each worker, largest first."""
    return sorted((len(clients_of(pid, port)) for pid in pids), reverse=True)


def main() -> None:
    """Print both."""
    for name in ("64 connections at once, saturated", "20 connections at once, 1,000 requests/s"):
        found = []
        with site(WORKERS) as made:
            pids = made.workers()
            for _ in range(TIMES):
                if name.startswith("64"):
                    with wrk(made, 64, 10) as load:
                        time.sleep(1)
                        found.append(counted(made.port, pids))
                        result(load)
                else:
                    pacer = start(made.port, 1000)
                    time.sleep(1)
                    found.append(counted(made.port, pids))
                    end(pacer)
        medians = [round(statistics.median(column)) for column in zip(*found, strict=True)]
        print(f"{name}: by worker, the busiest first, median of {TIMES}: {medians}; most uneven {max(found)}")


if __name__ == "__main__":
    main()
