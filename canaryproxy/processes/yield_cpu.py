"""Workers come first. Where there are fewer CPUs than processes, a request may wait for the one the supervisor runs on:
what takes longer gives way in between, so that it waits for one step and not for all.

With both on one core p99 was made of the filing of reports: 1.2 to 1.5 times HAProxy's with five a second and without
this, 0.7 to 0.8 with four and with it, over two runs each (`python -m bench.race --parts requests latency`).
"""

import os
from collections.abc import Callable


def nothing() -> None:
    """Where there is no such call."""


yield_cpu: Callable[[], None] = getattr(os, "sched_yield", nothing)
"""Let others run that wait for this CPU, if there are any."""
