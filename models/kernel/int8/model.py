"""The integer arrays of a model of format 2: their names and shapes in a file, and their order in the kernel."""

from collections.abc import Mapping

import numpy as np

from models.config import ModelConfig
from models.errors import CheckpointError
from models.kernel.int8.lstm import Int8Lstm, Int16s
from models.kernel.int8.matmul import RUN, in_pairs
from models.kernel.int8.vectors import UNITS

Arrays = Mapping[str, np.ndarray]
TABLE, STYLES = "table", "styles"
RECURRENT, RECURRENT_MULTIPLIER, RECURRENT_SHIFT = "recurrent.weight", "recurrent.multiplier", "recurrent.shift"
OUTPUT, OUTPUT_MULTIPLIER, OUTPUT_SHIFT = "output.weight", "output.multiplier", "output.shift"
OUTPUT_BIAS = "output.bias"
# The largest weight and hidden state, the largest shift, and the most outcomes (see `distribution`).
LARGEST, MAX_SHIFT, MAX_OUTCOMES = 127, 20, 4096
# Biases stay where adding a scaled sum cannot leave 32 bits.
MAX_BIAS = 2**24


def has_integers(arrays: Arrays) -> bool:
    """Return whether a checkpoint's arrays are those of format 2."""
    return TABLE in arrays


def int8_model(config: ModelConfig, arrays: Arrays) -> Int8Lstm:
    """Return a checkpoint's arrays as the kernel wants them. Raises `CheckpointError` where they are unsound."""
    try:
        check_arrays(config, arrays)
    except ValueError as error:
        raise CheckpointError(
            f"The integer weights do not fit their config ({config.architecture}): {error}."
        ) from error
    H, V = arrays[OUTPUT].shape
    more_units, more_outcomes = -H % UNITS, -V % RUN
    return Int8Lstm(
        grouped(arrays[TABLE]),
        in_pairs(np.pad(grouped(arrays[RECURRENT]), ((0, more_units), (0, 0)))),
        grouped(arrays[RECURRENT_MULTIPLIER]),
        in_pairs(np.pad(arrays[OUTPUT], ((0, more_units), (0, more_outcomes)))),
        np.pad(arrays[OUTPUT_MULTIPLIER], (0, more_outcomes)),
        np.pad(arrays[OUTPUT_BIAS], (0, more_outcomes)),
        np.array([arrays[RECURRENT_SHIFT][0], arrays[OUTPUT_SHIFT][0]], np.int64),
    )


def style_bias(arrays: Arrays, rows: tuple[int, ...] = ()) -> Int16s:
    """Return what the chosen rows of `styles` add to pre-activations, grouped: zeros for none.

    Sums are cut to 16 bits.
    """
    width = arrays[TABLE].shape[1]
    total = np.zeros(width, np.int64)
    for row in rows:
        total += arrays[STYLES][row]
    return grouped(np.clip(total, -(2**15), 2**15 - 1).astype(np.int16))


def check_arrays(config: ModelConfig, arrays: Arrays) -> None:
    """Raise `ValueError` unless `arrays` are those of an integer `lstm`: names, types, shapes and ranges."""
    if config.architecture != "lstm" or config.n_layers != 1:
        raise ValueError("integer weights are for an lstm of one layer")
    H, V = config.n_hidden, arrays[OUTPUT_BIAS].size if OUTPUT_BIAS in arrays else 0
    expected: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
        TABLE: (np.int16, (V, 4 * H)),
        RECURRENT: (np.int8, (H, 4 * H)),
        RECURRENT_MULTIPLIER: (np.int32, (4 * H,)),
        RECURRENT_SHIFT: (np.int32, (1,)),
        OUTPUT: (np.int8, (H, V)),
        OUTPUT_MULTIPLIER: (np.int32, (V,)),
        OUTPUT_SHIFT: (np.int32, (1,)),
        OUTPUT_BIAS: (np.int32, (V,)),
    }
    if STYLES in arrays:
        expected[STYLES] = (np.int16, (*arrays[STYLES].shape[:1], 4 * H))
    if odd := sorted(set(arrays) ^ set(expected)):
        raise ValueError(f"{', '.join(odd)} missing or unknown")
    for name, (dtype, shape) in expected.items():
        if arrays[name].dtype != dtype or arrays[name].shape != shape:
            raise ValueError(f"{name} must be {np.dtype(dtype).name} {shape}")
    if not 2 <= V <= MAX_OUTCOMES:
        raise ValueError(f"there must be 2 to {MAX_OUTCOMES} outcomes")
    for weight, multiplier, shift in (
        (RECURRENT, RECURRENT_MULTIPLIER, RECURRENT_SHIFT),
        (OUTPUT, OUTPUT_MULTIPLIER, OUTPUT_SHIFT),
    ):
        if arrays[weight].min(initial=0) < -LARGEST:
            raise ValueError(f"{weight} must be from -{LARGEST} to {LARGEST}")
        places = int(arrays[shift][0])
        if not 1 <= places <= MAX_SHIFT:
            raise ValueError(f"{shift} must be from 1 to {MAX_SHIFT}")
        most = largest_multiplier(H, places)
        if arrays[multiplier].min() < 0 or arrays[multiplier].max() > most:
            raise ValueError(f"{multiplier} must be from 0 to {most}")
    if np.abs(arrays[OUTPUT_BIAS].astype(np.int64)).max() > MAX_BIAS:
        raise ValueError(f"{OUTPUT_BIAS} must be from -{MAX_BIAS} to {MAX_BIAS}")


def largest_multiplier(n_in: int, shift: int) -> int:
    """Return the largest multiplier with which no sum of `n_in` products leaves 32 bits."""
    return (2**31 - 1 - (1 << (shift - 1))) // (n_in * LARGEST * LARGEST)


def grouped(columns: np.ndarray) -> np.ndarray:
    """Return an array whose last axis is the gates i, f, g, o of H units each, as 4 padded H numbers group by group.

    Padding is zero, and a padded unit stays without effect: nothing multiplies it.
    """
    *rest, width = columns.shape
    H = width // 4
    padded = H + -H % UNITS
    gates = np.zeros((*rest, 4, padded), columns.dtype)
    gates[..., :H] = columns.reshape(*rest, 4, H)
    parts = gates.reshape(*rest, 4, padded // UNITS, UNITS)
    return np.ascontiguousarray(np.moveaxis(parts, -3, -2)).reshape(*rest, 4 * padded)
