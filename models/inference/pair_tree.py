"""A wavenet's tree of pairs over one window, every number of it kept to be looked at. Plain numpy, straight from a
checkpoint's arrays: nothing is folded, nothing drawn, and no name is served from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.config import ModelConfig
from models.inference.frozen import NORM_ARRAYS, NORM_EPS
from models.vocabulary import END

Numbers = NDArray[np.float64]
FAN = 2


@dataclass(frozen=True)
class PairTree:
    """`window` (T,): the characters' indices, oldest first, end tokens before the name. `embedded` (T, n_embd).

    `layers`: what each hidden layer puts out, (T / 2, n_hidden), (T / 4, n_hidden) ... (1, n_hidden): node k of a layer
    has the nodes 2k and 2k + 1 of the one below it. `logits` (V,): what comes next.
    """

    window: tuple[int, ...]
    embedded: Numbers
    layers: tuple[Numbers, ...]
    logits: Numbers


def pair_tree(config: ModelConfig, arrays: Mapping[str, np.ndarray], ids: list[int]) -> PairTree:
    """Return the tree above the last block_size of `ids`, in evaluation mode. Raises `ValueError` unless `config` is a
    wavenet's.
    """
    if config.architecture != "wavenet":
        raise ValueError(f"a {config.architecture} is no tree of pairs")
    T = config.block_size
    window = ([END] * T + ids)[-T:]
    embedded = arrays["embedding.weight"][window].astype(np.float64)  # (T, n_embd)
    layers, x = [], embedded
    for i in range(len(config.fans)):
        pairs = x.reshape(len(x) // FAN, -1)  # (T / 2^(i + 1), 2 C)
        x = _activated(_normed(pairs @ arrays[f"linear{i}.weight"], arrays, f"norm{i}"), config.activation)
        layers.append(x)
    logits = x[0] @ arrays["output.weight"] + arrays["output.bias"]
    return PairTree(tuple(window), embedded, tuple(layers), logits)


def _normed(x: Numbers, arrays: Mapping[str, np.ndarray], norm: str) -> Numbers:
    """BatchNorm in evaluation mode: by the statistics that training remembered."""
    gamma, beta, mean, var = (arrays[f"{norm}.{key}"].astype(np.float64) for key in NORM_ARRAYS)
    return (x - mean) / np.sqrt(var + NORM_EPS) * gamma + beta


def _activated(x: Numbers, activation: str) -> Numbers:
    return np.tanh(x) if activation == "tanh" else np.maximum(x, 0.0)
