"""How long a process keeps a CPU that others wait for.

Linux 6.12 and later lets each thread ask for a slice of its own. One with a shorter slice gets no larger share of the
CPU, but its turn sooner: it interrupts a thread with a longer one when it wakes. Where workers and the supervisor share
a CPU, a request would else wait for a slice of whatever the supervisor is doing, some milliseconds.
Source: `man 7 sched`, Linux `kernel/sched/fair.c` (EEVDF, PREEMPT_SHORT), `include/uapi/linux/sched/types.h`.
"""

import ctypes
import os
import platform
import struct

SHORT = 200_000
"""Nanoseconds of a worker's slice; the kernel takes 100,000 to 100,000,000."""

SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
"""The number of the system call, which the C library does not have before glibc 2.41."""

ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period."""


def shorten(nanoseconds: int = SHORT) -> bool:
    """Ask for this slice for the calling thread, and all that it starts. Whether the system took it; a kernel before
    6.12 takes it and does nothing.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = ATTRIBUTES.pack(ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, nanoseconds, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, attributes, 0) == 0)
