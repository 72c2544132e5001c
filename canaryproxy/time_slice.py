"""Requests a short scheduler time slice for workers.

Since Linux 6.12 a thread can request its own slice. A shorter slice gives no larger share of the CPU, but lower
latency: a waking thread preempts one with a longer slice. If workers and supervisor share a CPU, a request would
otherwise wait some milliseconds for the end of the supervisor's slice. Source: `man 7 sched`, Linux
`kernel/sched/fair.c` (EEVDF, PREEMPT_SHORT), `include/uapi/linux/sched/types.h`.
"""

import ctypes
import os
import platform
import struct

# Nanoseconds of a worker's slice; the kernel accepts 100,000 to 100,000,000.
SHORT = 200_000

# Numbers of the system call, for which glibc has no wrapper before 2.41.
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}

# `struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period.
ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def shorten(nanoseconds: int = SHORT) -> bool:
    """Request this slice for the calling thread and all threads it starts; returns whether the system accepted it.
    Kernels before 6.12 accept and ignore it.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = ATTRIBUTES.pack(ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, nanoseconds, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, attributes, 0) == 0)
