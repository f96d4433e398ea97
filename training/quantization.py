"""Quantise a trained LSTM of 32-bit floats to the integers of model format 2, with its loss."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from data import Split
from models import Vocabulary
from models.config import ModelConfig
from models.kernel.freeze import Arrays, freeze
from models.kernel.int8.cell import GATE_BITS
from models.kernel.int8.lstm import BLOCK, LOGIT_BITS, Int8Lstm, prefix_logits
from models.kernel.int8.matmul import RUN
from models.kernel.int8.model import (
    LARGEST,
    MAX_SHIFT,
    OUTPUT,
    OUTPUT_BIAS,
    OUTPUT_MULTIPLIER,
    OUTPUT_SHIFT,
    RECURRENT,
    RECURRENT_MULTIPLIER,
    RECURRENT_SHIFT,
    STYLES,
    TABLE,
    int8_model,
    largest_multiplier,
    style_bias,
)
from training.errors import TrainingError
from training.evaluation import measured
from training.styles import StyleTable

Floats = NDArray[np.float64]


def quantize(config: ModelConfig, arrays: Arrays) -> dict[str, np.ndarray]:
    """Return the integer arrays of an `lstm` checkpoint of one layer, each number rounded to the nearest.

    Raises `TrainingError` for another network and for weights too large for the format; `CheckpointError` for arrays
    that do not fit `config`.
    """
    if config.architecture != "lstm" or config.n_layers != 1:
        raise TrainingError("Only an lstm of one layer can be quantised: give architecture lstm and n_layers 1.")
    table = freeze(config, arrays).table[0].astype(np.float64) + arrays["lstm0.bias"]
    recurrent = quantized_matrix(arrays["lstm0.hidden"].astype(np.float64), GATE_BITS)
    output = quantized_matrix(arrays["output.weight"].astype(np.float64), LOGIT_BITS)
    return {
        TABLE: rounded(table * 2**GATE_BITS, np.int16),
        **dict(zip((RECURRENT, RECURRENT_MULTIPLIER, RECURRENT_SHIFT), recurrent, strict=True)),
        **dict(zip((OUTPUT, OUTPUT_MULTIPLIER, OUTPUT_SHIFT), output, strict=True)),
        OUTPUT_BIAS: rounded(arrays["output.bias"].astype(np.float64) * 2**LOGIT_BITS, np.int16).astype(np.int32),
        **({STYLES: rounded(arrays["lstm0.style"] * 2.0**GATE_BITS, np.int16)} if "lstm0.style" in arrays else {}),
    }


def quantized_matrix(weights: Floats, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `weights` (n_in, n_out) as int8, with a multiplier int32 (n_out,) and a shift int32 (1,).

    Inputs count in 1/127 and outputs in 2^-bits: output = (sum * multiplier) >> shift. A column's step is what its
    multiplier says exactly, so that the multiplier adds no error of its own. Raises `TrainingError` where a weight is
    too large.
    """
    n_in = len(weights)
    unit = np.abs(weights).max(axis=0, initial=0) * 2**bits / LARGEST**2
    for shift in range(MAX_SHIFT, 0, -1):
        multiplier = np.maximum(np.ceil(unit * 2**shift), 1)
        if multiplier.max() <= largest_multiplier(n_in, shift):
            steps = LARGEST * multiplier / 2 ** (shift + bits)
            shifts = np.array([shift], np.int32)
            return np.rint(weights / steps).astype(np.int8), multiplier.astype(np.int32), shifts
    raise TrainingError(f"A weight of {np.abs(weights).max():.3g} is too large for the integer format.")


def rounded(numbers: Floats, dtype: type[np.integer]) -> np.ndarray:
    """Return the nearest integers that `dtype` holds."""
    limits = np.iinfo(dtype)
    return np.clip(np.rint(numbers), limits.min, limits.max).astype(dtype)


def name_losses(
    model: Int8Lstm, style: NDArray[np.int16], names: Sequence[str], vocabulary: Vocabulary
) -> NDArray[np.float64]:
    """Return the negative log-likelihood of each name, end token included: (names,), in nats.

    The logits are the compiled kernel's; their logarithms are taken in 64-bit floats.
    """
    losses = np.empty(len(names))
    # Names of one length side by side, so that a block has little padding.
    order = np.argsort(list(map(len, names)), kind="stable")
    V = len(vocabulary)
    for first in range(0, len(names), BLOCK):
        block = order[first : first + BLOCK]
        some = [vocabulary.encode(names[k]) for k in block]
        ids = np.zeros((len(some), max(map(len, some)) + 1), np.int64)
        for row, name in zip(ids, some, strict=True):
            row[1 : len(name) + 1] = name
        logits = np.empty((*ids.shape, V + -V % RUN), np.int32)
        prefix_logits(model, style, ids, logits)
        scores = logits[..., :V] / 2**LOGIT_BITS
        scores -= scores.max(-1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
        for k, row, name in zip(block, scores, some, strict=True):
            losses[k] = -row[np.arange(len(name) + 1), [*name, 0]].sum()
    return losses


def mean_loss(config: ModelConfig, arrays: Arrays, names: Sequence[str], vocabulary: Vocabulary) -> float:
    """Return the loss of integer arrays without a style, in nats per character of `names`."""
    losses = name_losses(int8_model(config, arrays), style_bias(arrays), names, vocabulary)
    return float(losses.sum()) / _rows(names, vocabulary)


def styled_loss(
    config: ModelConfig, arrays: Arrays, names: Sequence[str], vocabulary: Vocabulary, table: StyleTable
) -> float:
    """Return the loss of integer arrays where each name has the values of its heaviest row, as `mean_loss` has it."""
    combinations, of_name = torch.unique(table.likeliest(torch.arange(len(names))), dim=0, return_inverse=True)
    model, total = int8_model(config, arrays), 0.0
    for i, values in enumerate(combinations):
        rows = tuple(values.nonzero()[:, 0].tolist())
        some = [names[k] for k in (of_name == i).nonzero()[:, 0].tolist()]
        total += float(name_losses(model, style_bias(arrays, rows), some, vocabulary).sum())
    return total / _rows(names, vocabulary)


def _rows(names: Sequence[str], vocabulary: Vocabulary) -> int:
    return sum(len(vocabulary.split(name)) + 1 for name in names)


def split_losses(config: ModelConfig, arrays: Arrays, split: Split, vocabulary: Vocabulary) -> dict[str, float]:
    """Return the losses of integer arrays on the `measured` names of train, dev and test, in nats per character."""
    part = measured(split)
    parts = {"train": part.train, "dev": part.dev, "test": part.test}
    return {part: mean_loss(config, arrays, names, vocabulary) for part, names in parts.items()}
