"""The architectures, and the table that builds them."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from models.config import STYLED, ModelConfig
from models.errors import ConfigError
from models.networks.gated import GatedStack
from models.networks.layers import (
    GAINS,
    BatchNorm1d,
    Dropout,
    Embedding,
    FlattenConsecutive,
    Layer,
    Linear,
    Onlooker,
    ReLU,
    Sequential,
    SharedEmbedding,
    SharedLinear,
    StyleBias,
    Tanh,
)
from models.networks.recurrent import LSTM

# Small first logits make the first guess uniform, so that the untrained loss is ln(vocab_size).
SMALL = 0.1
# An untrained state of an LSTM is small, so that its logits can be large and the first guess uniform nevertheless.
OUTPUT_GAINS = {"lstm": 2.0}
ACTIVATIONS: dict[str, Callable[[], Layer]] = {"tanh": Tanh, "relu": ReLU}


class Network:
    """A next-character model with two views of the same function, equal up to rounding in eval mode.

    `windows`, as in the lectures, predicts once for each window of block_size characters. `names` predicts at every
    position of whole names at once and computes nothing twice; training uses it.
    """

    def __init__(self, config: ModelConfig, layers: Sequential) -> None:
        self.config = config
        self.layers = layers

    def windows(self, X: Tensor) -> Tensor:
        """Return logits (B, V) for contexts X (B, block_size), oldest first, padded on the left."""
        if self.config.architecture == "lstm":
            return self._last_of_each(X)
        return self.layers(X)

    def _last_of_each(self, X: Tensor) -> Tensor:
        """Read each context from the first character of its name, and keep the last prediction."""
        lengths = (X > 0).sum(1) + 1
        ends = lengths.cumsum(0)
        positions = torch.arange(int(ends[-1]), device=X.device) - (ends - lengths).repeat_interleave(lengths)
        ids = torch.zeros_like(positions)
        ids[positions > 0] = X[X > 0]
        return torch.index_select(self.names(ids, positions), 0, ends - 1)

    def names(
        self, ids: Tensor, positions: Tensor, see: Onlooker | None = None, styles: Tensor | None = None
    ) -> Tensor:
        """Return logits (N, V) for concatenated names.

        ids (N,): the last known character of each position, 0 at the start of a name. positions (N,): 0, 1, 2... within
        each name. styles (N, S): 1 for each value of a style that a row's name has, else 0; None for no style.
        BatchNorm sees no padding, because there is none. `see` is called with the output of each layer.
        """
        return self.layers.over_names(ids, positions, see, styles)

    @property
    def parameter_count(self) -> int:
        """The number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def parameters(self) -> list[Tensor]:
        """Return the trainable tensors, in order."""
        return self.layers.parameters()

    def train(self) -> None:
        """Switch to training mode: normalise with the statistics of each batch, and update the running ones."""
        self.layers.train()

    def eval(self) -> None:
        """Switch to evaluation mode: normalise with the running statistics."""
        self.layers.eval()

    def to(self, device: torch.device | str) -> None:
        """Move to `device`, in place."""
        self.layers.to(device)

    def state_dict(self) -> dict[str, Tensor]:
        """Return every stored tensor by name; they share memory with the network."""
        return self.layers.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor | np.ndarray]) -> None:
        """Copy `state` in. Raises `ValueError` if it does not fit."""
        self.layers.load_state_dict(state)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the float32 arrays that a checkpoint stores, copied."""
        return {name: tensor.cpu().numpy().astype(np.float32) for name, tensor in self.layers.folded().items()}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy a checkpoint's arrays in. Raises `ValueError` if they do not fit."""
        self.load_state_dict({name: np.array(array) for name, array in arrays.items()})


Layers = list[tuple[str, Layer]]


def bigram(config: ModelConfig, vocab_size: int, generator: torch.Generator, n_styles: int) -> Layers:
    """Return the layers of a bigram: a trainable row of logits for each last character."""
    _refuse_styles(config, n_styles)
    table = Embedding(vocab_size, vocab_size, generator, scale=SMALL)
    return [("embedding", table), ("join0", FlattenConsecutive(1))]


def stack(config: ModelConfig, vocab_size: int, generator: torch.Generator, n_styles: int) -> Layers:
    """Return an embedding, a join, Linear, BatchNorm and activation per fan, and a last Linear.

    One fan of block_size is the MLP of Bengio et al. 2003; fans of two are the tree of WaveNet. Styles come after the
    BatchNorm, which would take the mean of a batch's styles away.
    """
    layers: Layers = [("embedding", Embedding(vocab_size, config.n_embd, generator))]
    width, gain = config.n_embd, GAINS[config.activation]
    for i, fan in enumerate(config.fans):
        if fan > 1 or i == 0:
            layers.append((f"join{i}", FlattenConsecutive(fan)))
        hidden = Linear(width * fan, config.n_hidden, generator, gain=gain, bias=False)
        layers += [
            (f"linear{i}", hidden),
            (f"norm{i}", BatchNorm1d(config.n_hidden)),
            *([(f"style{i}", StyleBias(n_styles, config.n_hidden))] if n_styles else []),
            (f"activation{i}", ACTIVATIONS[config.activation]()),
        ]
        width = config.n_hidden
    return [*layers, ("output", Linear(width, vocab_size, generator, gain=SMALL))]


def gated(config: ModelConfig, vocab_size: int, generator: torch.Generator, n_styles: int) -> Layers:
    """Return an embedding, gated residual blocks, and two hidden layers over all their outputs.

    This is figure 4 of van den Oord et al. 2016, with BatchNorm before each nonlinearity.
    """
    _refuse_styles(config, n_styles)
    n_blocks, H, p = len(config.fans), config.n_hidden, config.dropout
    layers: Layers = [
        ("embedding", Embedding(vocab_size, config.n_embd, generator)),
        ("input_dropout", Dropout(config.input_dropout, generator)),
        ("blocks", GatedStack(n_blocks, config.n_embd, H, p, generator)),
    ]
    width = n_blocks * H
    for i in range(2):
        layers += [
            (f"linear{i}", Linear(width, H, generator, gain=GAINS["relu"], bias=False)),
            (f"norm{i}", BatchNorm1d(H)),
            (f"activation{i}", ReLU()),
        ]
        width = H
    return [*layers, ("dropout", Dropout(p, generator)), ("output", Linear(H, vocab_size, generator, gain=SMALL))]


def lstm(config: ModelConfig, vocab_size: int, generator: torch.Generator, n_styles: int) -> Layers:
    """Return an embedding, stacked LSTM layers (Graves 2013), and a Linear to the logits.

    Dropout applies between layers, never along the name (Zaremba et al. 2014).
    """
    layers: Layers = [
        ("embedding", Embedding(vocab_size, config.n_embd, generator)),
        ("input_dropout", Dropout(config.input_dropout, generator)),
    ]
    width = config.n_embd
    for i in range(config.n_layers):
        layers += [
            (f"lstm{i}", LSTM(width, config.n_hidden, generator, n_styles)),
            (f"dropout{i}", Dropout(config.dropout, generator)),
        ]
        width = config.n_hidden
    return [*layers, ("output", Linear(width, vocab_size, generator, gain=OUTPUT_GAINS["lstm"]))]


def _refuse_styles(config: ModelConfig, n_styles: int) -> None:
    if n_styles:
        raise ConfigError(
            f"A {config.architecture} learns no styles; allowed: {', '.join(STYLED)}.",
            field="architecture",
            allowed=f"one of {', '.join(STYLED)}",
        )


BUILDERS: dict[str, Callable[[ModelConfig, int, torch.Generator, int], Layers]] = {
    "bigram": bigram,
    "mlp": stack,
    "wavenet": stack,
    "gated_wavenet": gated,
    "lstm": lstm,
}


def build_model(
    config: ModelConfig,
    vocab_size: int,
    generator: torch.Generator,
    n_styles: int = 0,
    pieces: np.ndarray | None = None,
) -> Network:
    """Return an untrained network in training mode; `generator` draws its weights.

    `n_styles`: the number of values of all styles; `pieces` (V, P): those of `Vocabulary.pieces`, whose weights
    characters share. Raises `ConfigError` for an architecture that learns no styles.
    """
    layers = dict(BUILDERS[config.architecture](config, vocab_size, generator, n_styles))
    if pieces is not None and config.architecture != "bigram":
        of = torch.from_numpy(pieces)
        output = layers["output"]
        assert isinstance(output, Linear)
        fan_in, gain = output.weight.shape[0], OUTPUT_GAINS.get(config.architecture, SMALL)
        layers["embedding"] = SharedEmbedding(of, config.n_embd, generator)
        layers["output"] = SharedLinear(fan_in, of, generator, gain=gain)
    return Network(config, Sequential(layers.items()))


def folded(network: Network, vocab_size: int, n_styles: int = 0) -> Network:
    """Return the plain network that does the same as one with shared weights, on the CPU; others as they are."""
    arrays = network.to_arrays()
    if arrays.keys() == network.state_dict().keys():
        return network
    plain = build_model(network.config, vocab_size, torch.Generator(), n_styles)
    plain.load_arrays(arrays)
    plain.eval()
    return plain
