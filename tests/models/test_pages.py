"""Arrays in memory of their own: what they can hold, and that their memory goes back to the system."""

import errno
import gc
import mmap
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from models.inference.pages import FEW, LINE, MANY, Form, arrays_of


@pytest.mark.parametrize("rows", [1, 100, FEW, MANY])
def test_they_are_arrays_like_others(rows: int) -> None:
    """Few or many: of the shape and type that was asked for, one after the other, writable, on a cache line of their
    own where they are large, and none reaches into another.
    """
    forms: list[Form] = [((rows, 3), np.int32), ((rows,), np.float32), ((0, 7), np.float32), ((2, rows), np.int32)]
    arrays = arrays_of(forms)
    for number, (array, (shape, kind)) in enumerate(zip(arrays, forms, strict=True)):
        assert (array.shape, array.dtype) == (shape, kind)
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.aligned
        assert rows < FEW or array.ctypes.data % LINE == 0
        array[...] = number
    for number, array in enumerate(arrays):
        assert (array == number).all()


def test_without_memory_it_is_said_and_without_large_pages_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that has no more memory is a MemoryError; one that knows no large pages is none."""
    forms: list[Form] = [((MANY,), np.int32)]

    class Small(mmap.mmap):
        def madvise(self, *_: int) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("models.inference.pages.mmap.mmap", Small)
    [array] = arrays_of(forms)
    assert array.shape == (MANY,)

    def none(*_: int, **__: int) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("models.inference.pages.mmap.mmap", none)
    with pytest.raises(MemoryError, match="Cannot allocate"):
        arrays_of(forms)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_their_memory_goes_back() -> None:
    """With the last of many arrays of growing sizes, as trees make them, the process holds hardly more than before."""

    def held() -> float:
        return int(re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024

    arrays_of([((FEW,), np.int32)])
    gc.collect()
    before = held()
    for size in range(1, 9):
        kept = [arrays_of([((size * FEW, 8), np.int32), ((FEW,), np.float32)]) for _ in range(2)]
        for each in kept:
            for array in each:
                array[...] = 1
        assert held() - before > 2 * size * 7
        del kept, each, array
    gc.collect()
    assert held() - before < 8
