"""The tree of pairs of a wavenet over one window, with every number for display.

It uses plain numpy on a checkpoint's arrays: nothing is folded or drawn, and serving names does not use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.config import ModelConfig
from models.kernel.freeze import NORM_ARRAYS, NORM_EPS
from models.vocabulary import END

Numbers = NDArray[np.float64]
FAN = 2


@dataclass(frozen=True)
class PairTree:
    """The numbers of a tree over one window.

    `window` (T,): the characters' indices, oldest first, end tokens before the name. `embedded` (T, n_embd).

    `layers`: what each hidden layer puts out, (T / 2, n_hidden), (T / 4, n_hidden) ... (1, n_hidden): node k of a layer
    has the nodes 2k and 2k + 1 of the one below it. `logits` (V,): what comes next.
    """

    window: tuple[int, ...]
    embedded: Numbers
    layers: tuple[Numbers, ...]
    logits: Numbers


def pair_tree(config: ModelConfig, arrays: Mapping[str, np.ndarray], ids: list[int]) -> PairTree:
    """Return the tree above the last block_size of `ids`, in evaluation mode.

    Raises `ValueError` unless `config` is a wavenet's.
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


AXES = 2
TINY = 1e-300


@dataclass(frozen=True)
class Projection:
    """The projection of an embedding on its first two principal components.

    `points` (V, 2): the directions of the rows. `explained` (2,): the share of their variance that each component
    holds. `nearest` (V,): the row at the smallest angle to each.
    """

    points: NDArray[np.float64]
    explained: NDArray[np.float64]
    nearest: NDArray[np.int64]


def project(embedding: NDArray[np.floating]) -> Projection:
    """Return the projection of `embedding` (V, C), V at least 2 (Pearson 1901, by singular values).

    Rows are scaled to length 1 first: under weight decay their lengths tell how rare a character is, and little else.
    The number that is largest in size on each axis is positive, so that the picture is the same on every machine.
    """
    rows = embedding.astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY)
    centred = rows - rows.mean(0)
    _, spreads, axes = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(rows), AXES))
    points[:, : len(axes)] = centred @ axes[:AXES].T
    points *= np.where(points[np.abs(points).argmax(0), range(AXES)] < 0, -1.0, 1.0)
    variance = np.zeros(AXES)
    variance[: len(spreads)] = spreads[:AXES] ** 2
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -np.inf)
    return Projection(points, variance / max(float((spreads**2).sum()), TINY), cosines.argmax(1))
