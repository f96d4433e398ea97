"""How many processors there are for us, and how many threads may draw on them. Nothing is started here."""

import os
from pathlib import Path

# What a container may use, as the kernel tells it inside (Linux, "cgroup-v2", cpu.max): microseconds of each period.
CONTAINER = Path("/sys/fs/cgroup/cpu.max")


def processors(told: Path = CONTAINER) -> int:
    """Return how many processors this process may use, 1 or more: those that it may run on, or its container's share
    of them where that is less.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = told.read_text().split()
        return max(1, min(allowed, int(share) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        # No container, another kernel, or no limit: "max".
        return allowed


def drawing_threads(wanted: int, workers: int, there: int) -> int:
    """Return how many threads each of `workers` processes may draw in: as many as wanted, and never more in all than
    there are processors, for more would only stand in each other's way.
    """
    return max(1, min(wanted, there // workers))
