"""Arrays in memory of their own, straight from the system and back to it. Nothing about what is in them.

The C library keeps what large arrays gave back, in each thread's own heap and in pieces, for arrays to come: a process
whose trees grow and go came to hold many times what its trees had (glibc raises its bound for memory of its own as
such memory is freed: man 3 mallopt, M_MMAP_THRESHOLD).
"""

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

# Below so many bytes in all the C library is the better place: a page is 4 KiB, and to ask the system takes time.
FEW = 2**18
# From so many on, pages of 2 MiB are asked for, as numpy does: drawing jumps about in all of it.
MANY = 2**22
# Python's default is memory that is shared with forked processes, and that has no large pages; Windows knows neither.
PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
# Each array begins on a line of the processor's caches.
LINE = 64

Form = tuple[tuple[int, ...], type[np.generic]]


def arrays_of(forms: Sequence[Form]) -> list[np.ndarray[Any, Any]]:
    """Return an array for each shape and type, without any order in what is in them; their memory goes back to the
    system with the last of them. Raises `MemoryError` where there is no more.
    """
    sizes = [math.prod(shape) * np.dtype(kind).itemsize for shape, kind in forms]
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size // LINE) * LINE)
    if starts[-1] < FEW:
        return [np.empty(shape, kind) for shape, kind in forms]
    try:
        pages = mmap.mmap(-1, starts[-1], **PRIVATE)
    except OSError as error:
        raise MemoryError(f"{starts[-1]} bytes: {error.strerror}") from error
    if starts[-1] >= MANY and hasattr(mmap, "MADV_HUGEPAGE"):
        # A wish: some kernels have none.
        with suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)
    return [
        np.frombuffer(pages, kind, math.prod(shape), start).reshape(shape)
        for (shape, kind), start in zip(forms, starts, strict=False)
    ]
