"""How every kernel is compiled: without the GIL, with IEEE division, and never with fast mathematics."""

from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Any:
    """Return `function` as a part of kernels. Its Python form stays as `py_func`.

    numba's own error model raises on division by zero, which keeps loops with a division from being vectorised.
    """
    return njit(nogil=True, error_model="numpy")(function)
