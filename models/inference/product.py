"""Products of many rows with one matrix. Nothing else.

Each output is summed from zero in the order of its inputs, a multiplication and an addition at a time, so that its bits
depend neither on how rows and outputs are cut into tiles nor on the width of the vector unit.
"""

import numpy as np
from numpy.typing import NDArray

from models.inference.kernel import kernel
from models.inference.tile import tile

# A matrix is laid out in runs of so many outputs, the last one padded: (runs, n_in, RUN). So a tile reads its weights
# in the order of memory.
RUN = 32
# Six rows and two vectors make twelve sums: as many as sixteen registers hold beside factors and weights. A few rows
# wait for their weights anyway, so that three cost little more than one.
_SIX, _THREE, _TWO, _ONE = tile(6, 2), tile(3, 2), tile(2, 4), tile(1, 4)
_HALF = RUN // 2


@kernel
def multiply(x, source, n_in, n, weights, at, n_out, out):  # type: ignore[no-untyped-def]
    """out[:n, :n_out] = x[:n, source : source + n_in] @ W; W (n_in, n_out), in runs, starts at `at` of the flat
    `weights`. `n_out` is a multiple of RUN.

    Outputs are the outer loop: their part of the weights stays in the first cache.
    """
    wide, width = x.shape[1], out.shape[1]
    sixes = n - n % 6
    for o in range(0, n_out, RUN):
        run = at + o * n_in
        for half in range(0, RUN, _HALF):
            for b in range(0, sixes, 6):
                _SIX(x, b * wide + source, wide, n_in, weights, run + half, RUN, out, b * width + o + half, width)
            for left in range(sixes, n, 3):
                # The last three overlap those before where rows are left over: they are computed again, to the same.
                b = min(left, n - 3)
                if b >= 0:
                    _THREE(x, b * wide + source, wide, n_in, weights, run + half, RUN, out, b * width + o + half, width)
        if n == 2:
            _TWO(x, source, wide, n_in, weights, run, RUN, out, o, width)
        elif n == 1:
            _ONE(x, source, wide, n_in, weights, run, RUN, out, o, width)


def products(x, source, n_in, weights, out):  # type: ignore[no-untyped-def]
    """out (N, n_out) = x[:, source : source + n_in] @ weights, a matrix (n_in, n_out) in runs; n_out is a multiple of
    RUN.
    """
    multiply(x, source, n_in, len(x), weights, 0, out.shape[1], out)


def in_runs(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a matrix (n_in, n_out), whole runs wide, as `multiply` wants it: flat."""
    n_in, n_out = matrix.shape
    return np.ascontiguousarray(matrix.reshape(n_in, n_out // RUN, RUN).transpose(1, 0, 2)).ravel()
