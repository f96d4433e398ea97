"""The integer kernels, called from plain Python, and digests of what they give: run as a module, it prints those of
the processor level in its first argument.
"""

import hashlib
import sys

import numba
import numpy as np
from numpy.typing import NDArray

from models import ModelConfig
from models.kernel.arithmetic import philox
from models.kernel.int8 import distribution, lstm
from models.kernel.int8.cell import update_cells, update_hidden
from models.kernel.int8.distribution import POWERS, inverse_temperature, share_limit
from models.kernel.int8.lstm import Int8Lstm
from models.kernel.int8.matmul import RUN, multiply
from models.kernel.int8.model import int8_model, style_bias
from models.kernel.int8.vectors import UNITS
from tests.models.int8_oracle import CASES, EXCLUDED, Arrays, Options, formula_model

DTYPES = {"weight": np.int8, "table": np.int16, "styles": np.int16}


def as_arrays(model: Arrays) -> dict[str, np.ndarray]:
    """The arrays of a model of lists, as a file has them."""
    return {name: np.array(values, DTYPES.get(name.split(".")[-1], np.int32)) for name, values in model.items()}


def packed(model: Arrays) -> Int8Lstm:
    """A model of lists for the kernel."""
    H = len(model["recurrent.weight"])
    return int8_model(ModelConfig(architecture="lstm", block_size=64, n_hidden=H), as_arrays(model))


@numba.njit(error_model="numpy")
def multiplied(x, n_in, n, weights, at, out, begin):  # type: ignore[no-untyped-def]
    """`multiply`, called from a kernel."""
    multiply(x, n_in, n, weights, at, out, begin)


@numba.njit(error_model="numpy")
def cells(sums, multiplier, shift, table, style, cell, cell_out, hidden_out):  # type: ignore[no-untyped-def]
    """Cells and hidden states of one row, group by group."""
    for unit in range(0, len(cell), UNITS):
        update_cells(
            sums, 4 * unit, multiplier, 4 * unit, shift, table, 4 * unit, style, cell, cell_out, hidden_out, unit
        )
        update_hidden(cell_out, hidden_out, unit)


@numba.njit(error_model="numpy")
def draw_candidates(  # type: ignore[no-untyped-def]
    model, style, prefix, excluded, rate, top_k, top_p, powers, min_length, seed, first, names, lengths
):
    """Draw candidates one after another, each from its first symbol on; -1 is the length of one that does not end."""
    H, V = style.shape[0] // 4, model.table.shape[0]
    scratch, keys, sums = lstm.int8_scratch(), np.empty(V, np.int64), np.empty(V, np.int32)
    logits, symbols = np.empty((1, model.output_bias.shape[0]), np.int32), np.zeros(1, np.int64)
    for c in range(len(names)):
        hidden, cell = np.zeros((2, 1, H), np.int16), np.zeros((2, 1, H), np.int16)
        symbols[0], lengths[c] = 0, -1
        for t in range(names.shape[1] + 1):
            old, new = t % 2, (t + 1) % 2
            lstm.step(model, scratch, style, hidden[old], cell[old], symbols, 1, hidden[new], cell[new], logits)
            if t < len(prefix):
                symbols[0] = prefix[t]
            else:
                for v in excluded:
                    logits[0, v] = distribution.EXCLUDED
                begin = 1 if t < min_length else 0
                distribution.fill_cumulative(logits[0], begin, rate, top_k, top_p, powers, keys, sums)
                words = philox(seed, first + np.uint64(c), np.uint64(t // 4))
                word = words[0] if t % 4 == 0 else words[1] if t % 4 == 1 else words[2] if t % 4 == 2 else words[3]
                symbols[0] = distribution.drawn(sums, np.int64(word >> np.uint64(2)))
                if symbols[0] == 0:
                    lengths[c] = t
                    break
            if t < names.shape[1]:
                names[c, t] = symbols[0]


@numba.njit(error_model="numpy")
def filled(logits, first, rate, top_k, top_p, powers, keys, cumulative):  # type: ignore[no-untyped-def]
    """`fill_cumulative`, called from a kernel."""
    return distribution.fill_cumulative(logits, first, rate, top_k, top_p, powers, keys, cumulative)


def compiled_logits(model: Arrays, ids: NDArray[np.int64], rows: tuple[int, ...] = ()) -> NDArray[np.int32]:
    """The compiled kernel's logits (N, T, V) after the prefixes of `ids` (N, T)."""
    V = len(model["output.bias"])
    logits = np.empty((*ids.shape, V + -V % RUN), np.int32)
    lstm.prefix_logits(packed(model), style_bias(as_arrays(model), rows), ids, logits)
    return logits[..., :V]


def compiled_sums(
    logits: list[int], first: int, temperature: float, top_k: int | None, top_p: float | None
) -> list[int]:
    """The compiled sums of weights, of logits before some numbers that mean nothing."""
    V = len(logits)
    sums, keys = np.full(V, -1, np.int32), np.empty(V, np.int64)
    padded = np.array([*logits, 30_000, 30_000], np.int32)
    rate, limit = inverse_temperature(temperature), share_limit(top_p)
    total = filled(padded, first, rate, V if top_k is None else top_k, limit, POWERS, keys, sums)
    assert total == sums[-1]
    found: list[int] = sums.tolist()
    return found


def compiled_names(model: Arrays, seed: int, count: int, options: Options) -> list[list[int] | None]:
    """The names that the compiled kernels draw."""
    V = len(model["output.bias"])
    names, lengths = np.zeros((count, options.max_length), np.int32), np.empty(count, np.int64)
    draw_candidates(
        packed(model),
        style_bias(as_arrays(model), options.styles),
        np.array(options.prefix, np.int64),
        np.array(options.excluded, np.int64),
        inverse_temperature(options.temperature),
        V if options.top_k is None else options.top_k,
        share_limit(options.top_p),
        POWERS,
        options.min_length,
        np.uint64(seed),
        np.uint64(0),
        names,
        lengths,
    )
    return [None if n < 0 else name[:n].tolist() for name, n in zip(names, lengths, strict=True)]


def digests() -> list[str]:
    """SHA-256 of names, which depend on every logit before them, and of sums of weights."""
    large, small = formula_model(136, 41, 1, salt=3), formula_model(24, 12, 2)
    names = [compiled_names(large, 3, 300, Options(temperature=1.3, max_length=9, styles=(0,)))]
    names += [compiled_names(small, 11, 300, options) for options in CASES.values()]
    random = np.random.default_rng(5)
    rows = random.integers(-9000, 9000, (300, 41)).tolist()
    cuts = [(0, 1.0, None, None), (1, 0.31, None, 0.83), (0, 4.9, 7, None)]
    sums = np.array([compiled_sums([*row, EXCLUDED], *cut) for row in rows for cut in cuts])
    return [hashlib.sha256(content).hexdigest() for content in (repr(names).encode(), sums.astype("<i8").tobytes())]


if __name__ == "__main__":
    for setting, value in {"CPU_NAME": sys.argv[1], "CPU_FEATURES": ""}.items():
        setattr(numba.config, setting, value)
    sys.stdout.write("\n".join(digests()))
