"""A trained network as the kernel wants it: plain arrays, BatchNorm folded away. No torch, no sampling.

Every architecture becomes one causal stack. The embedding and the first layer become a table (a sum of one row for each
character seen); the other layers are matrices with their fan and dilation. All arithmetic here is numpy's, element by
element in a fixed order and never a BLAS product, so that the frozen arrays have the same bits on every processor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.config import ModelConfig
from models.errors import CheckpointError

Floats = NDArray[np.float32]
NORM_EPS = 1e-5
NORM_ARRAYS = ("gamma", "beta", "running_mean", "running_var")
LINEAR, TANH, RELU = 0, 1, 2
ACTIVATION_CODES = {"tanh": TANH, "relu": RELU}
# Columns of `stages`.
FAN, DILATION, N_IN, N_OUT, WEIGHT_AT, BIAS_AT, ACTIVATION = range(7)


@dataclass(frozen=True)
class FrozenModel:
    """`table` (fan, V, C): what each character adds to the first layer, oldest place first; `activation` comes after
    it.

    `stages` (layers, 7) int64: fan, dilation, n_in, n_out, where weight (fan n_in, n_out) and bias (n_out) start in
    the flat `weights`, activation. The last stage's outputs are the logits; without stages the table's are.
    """

    table: Floats
    activation: int
    stages: NDArray[np.int64]
    weights: Floats

    @property
    def vocab_size(self) -> int:
        """How many outcomes a step has, end token included."""
        return int(self.table.shape[1])


def freeze(config: ModelConfig, arrays: Mapping[str, np.ndarray]) -> FrozenModel:
    """Return the frozen form of a checkpoint's arrays. Raises `CheckpointError` where they do not fit the config."""
    try:
        return _freeze(config, arrays)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"The weights do not fit their config ({config.architecture}): {error}.") from error


def _freeze(config: ModelConfig, arrays: Mapping[str, np.ndarray]) -> FrozenModel:
    if odd := sorted(set(arrays) ^ _expected(config)):
        raise ValueError(f"{', '.join(odd)} missing or unknown")
    embedding = arrays["embedding.weight"]
    if not config.fans:
        return FrozenModel(embedding[None].copy(), LINEAR, np.zeros((0, 7), np.int64), np.zeros(0, np.float32))
    code = ACTIVATION_CODES[config.activation]
    hidden = [_fold(arrays, i) for i in range(len(config.fans))]
    table = _first_layer(embedding, *hidden[0], config.fans[0])
    layers = [(w, b, fan, code) for (w, b), fan in zip(hidden[1:], config.fans[1:], strict=True)]
    layers.append((arrays["output.weight"], arrays["output.bias"], 1, LINEAR))
    stages, weights = _lay_out(layers, first_fan=config.fans[0], width=table.shape[2])
    return FrozenModel(table, code, stages, weights)


def _expected(config: ModelConfig) -> set[str]:
    """Return the names of the arrays that a checkpoint of this config has, neither more nor fewer."""
    hidden = [f"linear{i}.weight" for i in range(len(config.fans))]
    norms = [f"norm{i}.{key}" for i in range(len(config.fans)) for key in NORM_ARRAYS]
    output = ["output.weight", "output.bias"] if config.fans else []
    return {"embedding.weight", *hidden, *norms, *output}


def _fold(arrays: Mapping[str, np.ndarray], i: int) -> tuple[Floats, Floats]:
    """Return weight and bias of hidden layer i with its BatchNorm in evaluation mode inside: the same function."""
    gamma, beta, mean, var = (arrays[f"norm{i}.{key}"].astype(np.float64) for key in NORM_ARRAYS)
    scale = gamma / np.sqrt(var + NORM_EPS)
    weight = arrays[f"linear{i}.weight"].astype(np.float64) * scale
    return weight.astype(np.float32), (beta - mean * scale).astype(np.float32)


def _first_layer(embedding: np.ndarray, weight: Floats, bias: Floats, fan: int) -> Floats:
    """Return the table (fan, V, n_hidden); the bias is in the oldest place's rows."""
    V, C = embedding.shape
    if weight.shape[0] != fan * C:
        raise ValueError(f"linear0.weight has {weight.shape[0]} rows, not {fan} x {C}")
    table = np.zeros((fan, V, weight.shape[1]), np.float32)
    table[0] += bias
    for place in range(fan):
        for c in range(C):
            table[place] += embedding[:, c : c + 1] * weight[place * C + c]
    return table


def _lay_out(
    layers: list[tuple[np.ndarray, np.ndarray, int, int]], first_fan: int, width: int
) -> tuple[NDArray[np.int64], Floats]:
    stages, parts, dilation, at = [], [], first_fan, 0
    for weight, bias, fan, activation in layers:
        n_out = weight.shape[1]
        if weight.shape[0] != fan * width or bias.shape != (n_out,):
            raise ValueError(f"a layer of shape {weight.shape} does not follow one of width {width}")
        stages.append((fan, dilation, width, n_out, at, at + weight.size, activation))
        parts += [weight.ravel(), bias]
        at, dilation, width = at + weight.size + n_out, dilation * fan, n_out
    return np.array(stages, np.int64), np.concatenate(parts).astype(np.float32)
