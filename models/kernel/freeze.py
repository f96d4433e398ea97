"""A trained network as the kernel wants it: plain arrays, BatchNorm folded away. No torch, no sampling.

Every architecture becomes a table and some stages. The table is what the characters themselves add to the start of a
position's row of numbers; each stage reads a part of such rows, here and at earlier positions, and writes the next part
of this one. All arithmetic here is numpy's, element by element in a fixed order and never a BLAS product, so that the
frozen arrays have the same bits on every processor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.config import STYLED, ModelConfig
from models.errors import CheckpointError

Floats = NDArray[np.float32]
Arrays = Mapping[str, np.ndarray]
NORM_EPS = 1e-5
NORM_ARRAYS = ("gamma", "beta", "running_mean", "running_var")
# GATE: tanh of the first half times sigmoid of the second, left in the first. CELL: the four gates of an LSTM, of which
# h and c are left in the first two quarters.
LINEAR, TANH, RELU, GATE, CELL = range(5)
ACTIVATION_CODES = {"tanh": TANH, "relu": RELU}
# Columns of `stages`.
FAN, DILATION, LAG, SOURCE, N_IN, TARGET, N_OUT, WEIGHT_AT, BIAS_AT, ADDED, ACTIVATION = range(11)


@dataclass(frozen=True)
class FrozenModel:
    """`table` (fan, V, C): what each character adds to the row's first C numbers, oldest place first; `activation`
    comes after it.

    `stages` (layers, 11) int64, in order: each writes `N_OUT` numbers from `TARGET` on: a bias, what stands from
    `ADDED` on unless that is -1, and the `N_IN` numbers from `SOURCE` on at `FAN` positions `DILATION` apart (the
    newest of them `LAG` positions ago) times a weight (FAN n_in, n_out); then comes `ACTIVATION`. Weight and bias start
    at `WEIGHT_AT` and `BIAS_AT` in the flat `weights`. The last stage's outputs are the logits; without stages the
    table's are.
    """

    table: Floats
    activation: int
    stages: NDArray[np.int64]
    weights: Floats

    @property
    def vocab_size(self) -> int:
        """How many outcomes a step has, end token included."""
        return int(self.table.shape[1])


@dataclass
class _Program:
    """Stages as they are written down, and the weights laid end to end."""

    stages: list[tuple[int, ...]] = field(default_factory=list)
    parts: list[np.ndarray] = field(default_factory=list)
    size: int = 0

    def add(
        self,
        weight: np.ndarray,
        bias: np.ndarray,
        *,
        source: int,
        n_in: int,
        target: int,
        activation: int = LINEAR,
        fan: int = 1,
        dilation: int = 1,
        lag: int = 0,
        added: int = -1,
    ) -> None:
        n_out = weight.shape[1]
        if weight.shape[0] != fan * n_in or bias.shape != (n_out,):
            raise ValueError(f"a layer of shape {weight.shape} does not follow one of width {n_in}")
        at = (self.size, self.size + weight.size)
        self.stages.append((fan, dilation, lag, source, n_in, target, n_out, *at, added, activation))
        self.parts += [weight.ravel(), bias]
        self.size += weight.size + n_out

    def model(self, table: Floats, activation: int) -> FrozenModel:
        stages = np.array(self.stages, np.int64).reshape(-1, ACTIVATION + 1)
        return FrozenModel(table, activation, stages, np.concatenate(self.parts).astype(np.float32))


def freeze(config: ModelConfig, arrays: Arrays, style: tuple[int, ...] = ()) -> FrozenModel:
    """Return the frozen form of a checkpoint's arrays. Raises `CheckpointError` where they do not fit the config.

    `style`: the rows of the chosen values of styles, whose vectors are added to the biases.
    """
    biases = style_biases(config)
    try:
        expected = _expected(config) | (set(biases) if set(biases) & set(arrays) else set())
        if odd := sorted(set(arrays) ^ expected):
            raise ValueError(f"{', '.join(odd)} missing or unknown")
        plain = {name: array for name, array in arrays.items() if name not in biases}
        for name in expected & set(biases):
            _add_rows(plain, biases[name], arrays[name], style)
        return _FREEZERS[config.architecture](config, plain)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"The weights do not fit their config ({config.architecture}): {error}.") from error


def style_biases(config: ModelConfig) -> dict[str, str]:
    """Return the arrays (S, C) that styles have in a network, each with the bias (C,) that its rows are added to."""
    if config.architecture == "lstm":
        return {f"lstm{i}.style": f"lstm{i}.bias" for i in range(config.n_layers)}
    if config.architecture in STYLED:
        return {f"style{i}.weight": f"norm{i}.beta" for i in range(len(config.fans))}
    return {}


def _add_rows(arrays: dict[str, np.ndarray], bias: str, vectors: np.ndarray, rows: tuple[int, ...]) -> None:
    """Add rows of `vectors` (S, C) to a bias (C,), in order."""
    if vectors.shape[1:] != arrays[bias].shape:
        raise ValueError(f"the styles of {bias} have shape {vectors.shape}")
    for row in rows:
        arrays[bias] = arrays[bias] + vectors[row]


def _expected(config: ModelConfig) -> set[str]:
    """Return the names of the arrays that a checkpoint of this config has, neither more nor fewer."""
    names = {"embedding.weight"}
    if config.architecture != "bigram":
        names |= {"output.weight", "output.bias"}
    if config.architecture == "lstm":
        return names | {f"lstm{i}.{key}" for i in range(config.n_layers) for key in ("input", "hidden", "bias")}
    depth = len(config.fans)
    plain = 2 if config.architecture == "gated_wavenet" else depth
    names |= {f"linear{i}.weight" for i in range(plain)} | {
        f"norm{i}.{key}" for i in range(plain) for key in NORM_ARRAYS
    }
    if config.architecture == "gated_wavenet":
        names |= {f"blocks.{i}.gate.weight" for i in range(depth)}
        names |= {f"blocks.{i}.norm.{key}" for i in range(depth) for key in NORM_ARRAYS}
        names |= {f"blocks.{i}.residual.{key}" for i in range(depth - 1) for key in ("weight", "bias")}
    return names


def _freeze_table(config: ModelConfig, arrays: Arrays) -> FrozenModel:
    none = np.zeros((0, ACTIVATION + 1), np.int64)
    return FrozenModel(arrays["embedding.weight"][None].copy(), LINEAR, none, np.zeros(0, np.float32))


def _freeze_stack(config: ModelConfig, arrays: Arrays) -> FrozenModel:
    """The first layer goes into the table; the others are stages, each reading what the one before it wrote."""
    code = ACTIVATION_CODES[config.activation]
    hidden = [_fold(arrays[f"linear{i}.weight"], arrays, f"norm{i}") for i in range(len(config.fans))]
    table = _first_layer(arrays["embedding.weight"], *hidden[0], config.fans[0])
    program, dilation, at, width = _Program(), config.fans[0], 0, table.shape[2]
    for (weight, bias), fan in zip(hidden[1:], config.fans[1:], strict=True):
        place = {"source": at, "n_in": width, "target": at + width}
        program.add(weight, bias, **place, activation=code, fan=fan, dilation=dilation)
        at, width, dilation = at + width, weight.shape[1], dilation * fan
    program.add(arrays["output.weight"], arrays["output.bias"], source=at, n_in=width, target=at + width)
    return program.model(table, code)


def _freeze_gated(config: ModelConfig, arrays: Arrays) -> FrozenModel:
    """A row holds the stream before each block, then every block's z, side by side as the skip connections want them.

    A gate needs twice the room of its z: its second half lies where the next block's z will be.
    """
    depth, C, H = len(config.fans), config.n_embd, config.n_hidden
    program, found = _Program(), depth * config.n_embd
    for i in range(depth):
        z = found + i * H
        gate = _fold(arrays[f"blocks.{i}.gate.weight"], arrays, f"blocks.{i}.norm")
        program.add(*gate, source=i * C, n_in=C, target=z, activation=GATE, fan=2, dilation=2**i)
        if i < depth - 1:
            residual = (arrays[f"blocks.{i}.residual.{key}"] for key in ("weight", "bias"))
            program.add(*residual, source=z, n_in=H, target=(i + 1) * C, added=i * C)
    at, width = found, depth * H
    for i in range(2):
        layer = _fold(arrays[f"linear{i}.weight"], arrays, f"norm{i}")
        program.add(*layer, source=at, n_in=width, target=at + width, activation=RELU)
        at, width = at + width, H
    program.add(arrays["output.weight"], arrays["output.bias"], source=at, n_in=width, target=at + width)
    return program.model(arrays["embedding.weight"][None].copy(), LINEAR)


def _freeze_lstm(config: ModelConfig, arrays: Arrays) -> FrozenModel:
    """Each layer has its four gates' room in a row, of which h and c take the first half in the end."""
    H, program = config.n_hidden, _Program()
    none = np.zeros(4 * H, np.float32)
    table = _first_layer(arrays["embedding.weight"], arrays["lstm0.input"], none, 1)
    for i in range(config.n_layers):
        at = i * 4 * H
        if i > 0:
            program.add(arrays[f"lstm{i}.input"], none, source=at - 4 * H, n_in=H, target=at)
        carried = arrays[f"lstm{i}.hidden"], arrays[f"lstm{i}.bias"]
        program.add(*carried, source=at, n_in=H, target=at, added=at, lag=1, activation=CELL)
    last = (config.n_layers - 1) * 4 * H
    program.add(arrays["output.weight"], arrays["output.bias"], source=last, n_in=H, target=last + 4 * H)
    return program.model(table, LINEAR)


_FREEZERS: Mapping[str, Callable[[ModelConfig, Arrays], FrozenModel]] = {
    "bigram": _freeze_table,
    "mlp": _freeze_stack,
    "wavenet": _freeze_stack,
    "gated_wavenet": _freeze_gated,
    "lstm": _freeze_lstm,
}


def _fold(weight: np.ndarray, arrays: Arrays, norm: str) -> tuple[Floats, Floats]:
    """Return weight and bias of a layer with its BatchNorm in evaluation mode inside: the same function."""
    gamma, beta, mean, var = (arrays[f"{norm}.{key}"].astype(np.float64) for key in NORM_ARRAYS)
    scale = gamma / np.sqrt(var + NORM_EPS)
    return (weight.astype(np.float64) * scale).astype(np.float32), (beta - mean * scale).astype(np.float32)


def _first_layer(embedding: np.ndarray, weight: np.ndarray, bias: np.ndarray, fan: int) -> Floats:
    """Return the table (fan, V, n_hidden); the bias is in the oldest place's rows."""
    V, C = embedding.shape
    if weight.shape[0] != fan * C:
        raise ValueError(f"the first layer's weight has {weight.shape[0]} rows, not {fan} x {C}")
    table = np.zeros((fan, V, weight.shape[1]), np.float32)
    table[0] += bias
    for place in range(fan):
        for c in range(C):
            table[place] += embedding[:, c : c + 1] * weight[place * C + c]
    return table
