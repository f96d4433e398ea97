"""The architectures side by side, and the table that builds them. Layers live next door; training lives in another
room.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from models.config import ModelConfig
from models.networks.layers import (
    GAINS,
    BatchNorm1d,
    Embedding,
    FlattenConsecutive,
    Layer,
    Linear,
    Onlooker,
    ReLU,
    Sequential,
    Tanh,
)

# Small first logits make the first guess uniform, so that the untrained loss is ln(vocab_size).
SMALL = 0.1
ACTIVATIONS: dict[str, Callable[[], Layer]] = {"tanh": Tanh, "relu": ReLU}


class Network:
    """A next-character model. `windows` and `names` are two views of the same function (in evaluation mode, to the
    bit's edge).

    `windows` is the view of the lectures: one prediction for each window of block_size characters. `names` predicts at
    every position of whole names at once and computes nothing twice: training uses it.
    """

    def __init__(self, config: ModelConfig, layers: Sequential) -> None:
        self.config = config
        self.layers = layers

    def windows(self, X: Tensor) -> Tensor:
        """Return logits (B, V) for contexts X (B, block_size), oldest character first, padded with 0 on the left."""
        return self.layers(X)

    def names(self, ids: Tensor, positions: Tensor, see: Onlooker | None = None) -> Tensor:
        """Return logits (N, V) for whole names laid end to end.

        ids (N,): each position's last known character, 0 at a name's first position. positions (N,): 0, 1, 2... within
        each name. BatchNorm sees real positions only, because there are no others. `see` is told each layer's output.
        """
        return self.layers.over_names(ids, positions, see)

    @property
    def parameter_count(self) -> int:
        """How many numbers are learned."""
        return sum(parameter.numel() for parameter in self.parameters())

    def parameters(self) -> list[Tensor]:
        """Return the learned tensors, in order."""
        return self.layers.parameters()

    def train(self) -> None:
        """Normalise with each batch's own statistics, and remember them."""
        self.layers.train()

    def eval(self) -> None:
        """Normalise with the remembered statistics: what serving does."""
        self.layers.eval()

    def to(self, device: torch.device | str) -> None:
        """Move to `device`, in place."""
        self.layers.to(device)

    def state_dict(self) -> dict[str, Tensor]:
        """Return every stored tensor by name; they share memory with the network."""
        return self.layers.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor | np.ndarray]) -> None:
        """Copy `state` in. Raises `ValueError` where it does not fit."""
        self.layers.load_state_dict(state)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the float32 arrays that a checkpoint stores, copied."""
        return {name: tensor.cpu().numpy().astype(np.float32) for name, tensor in self.state_dict().items()}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy a checkpoint's arrays in. Raises `ValueError` where they do not fit."""
        self.load_state_dict({name: np.array(array) for name, array in arrays.items()})


def bigram(config: ModelConfig, vocab_size: int, generator: torch.Generator) -> list[tuple[str, Layer]]:
    """One row of logits for each last character: the counting model's table, learned."""
    table = Embedding(vocab_size, vocab_size, generator, scale=SMALL)
    return [("embedding", table), ("join0", FlattenConsecutive(1))]


def stack(config: ModelConfig, vocab_size: int, generator: torch.Generator) -> list[tuple[str, Layer]]:
    """Embedding, then for each fan of the config: join, Linear, BatchNorm, activation; then a Linear to the logits.

    One fan of block_size is the MLP of Bengio et al. 2003; fans of two are the tree of the WaveNet.
    """
    layers: list[tuple[str, Layer]] = [("embedding", Embedding(vocab_size, config.n_embd, generator))]
    width, gain = config.n_embd, GAINS[config.activation]
    for i, fan in enumerate(config.fans):
        if fan > 1 or i == 0:
            layers.append((f"join{i}", FlattenConsecutive(fan)))
        hidden = Linear(width * fan, config.n_hidden, generator, gain=gain, bias=False)
        layers += [
            (f"linear{i}", hidden),
            (f"norm{i}", BatchNorm1d(config.n_hidden)),
            (f"activation{i}", ACTIVATIONS[config.activation]()),
        ]
        width = config.n_hidden
    return [*layers, ("output", Linear(width, vocab_size, generator, gain=SMALL))]


BUILDERS: dict[str, Callable[[ModelConfig, int, torch.Generator], list[tuple[str, Layer]]]] = {
    "bigram": bigram,
    "mlp": stack,
    "wavenet": stack,
}


def build_model(config: ModelConfig, vocab_size: int, generator: torch.Generator) -> Network:
    """Return an untrained network, in training mode, its weights drawn from `generator` alone."""
    return Network(config, Sequential(BUILDERS[config.architecture](config, vocab_size, generator)))
