"""What goes on inside a network while it learns, as the lectures look at it: activations, gradients, updates.

Numbers are collected here; `pictures` draws them. Layers keep no outputs: an onlooker takes them as they pass by.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.networks import BatchNorm1d, Network
from models.networks.gated import GatedStack
from models.networks.layers import Layer
from training.dataset import Examples, Rows
from training.evaluation import cross_entropy
from training.trainer import Step, Trainer

# Layers that bend: their last name begins with one of these.
BENT = ("activation", "tanh", "sigmoid", "relu", "lstm")
BINS = 60
# A tanh beyond this hardly passes any gradient; neither does a sigmoid this near to 0 or 1, nor a relu at 0.
SATURATED = 0.97
# What the bad twin's weights are multiplied by.
SPOILT = 6.0
# And those of the output once more, so that the first guess is sure of the wrong thing.
SURE = 10.0


@dataclass(frozen=True)
class Spread:
    """The distribution of one tensor's numbers. `counts` (BINS,) as a density over `edges` (BINS + 1,); `share`: how
    many are saturated (activations), or the spread of the gradient over that of the weights (weights), None where
    neither means anything.
    """

    name: str
    mean: float
    std: float
    share: float | None
    edges: Sequence[float]
    counts: Sequence[float]


@dataclass(frozen=True)
class Snapshot:
    """One batch seen from inside: its loss, and the spreads of activations, of their gradients, of weight gradients."""

    loss: float
    activations: Sequence[Spread]
    gradients: Sequence[Spread]
    weights: Sequence[Spread]


@dataclass(frozen=True)
class Course:
    """A short run: losses of the batches, (step, dev loss), and the update:data ratio of each matrix at each step."""

    losses: Sequence[float]
    dev: Sequence[tuple[int, float]]
    ratios: dict[str, list[float]]


def snapshot(network: Network, rows: Rows) -> Snapshot:
    """Look at one batch in training mode. The network is as it was afterwards, in evaluation mode."""
    seen: dict[str, Tensor] = {}

    def see(name: str, output: Tensor) -> None:
        if output.requires_grad and name.rpartition(".")[2].startswith(BENT):
            output.retain_grad()
            seen[name] = output

    kept = {name: array.clone() for name, array in network.state_dict().items()}
    network.train()
    loss = cross_entropy(network.names(rows.ids, rows.positions, see), rows.targets).mean()
    matrices = named_matrices(network)
    inputs = [*matrices.values(), *seen.values()]
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    network.load_state_dict(kept)  # running statistics move while one looks
    network.eval()
    of_weights, of_outputs = gradients[: len(matrices)], gradients[len(matrices) :]
    return Snapshot(
        loss=float(loss.detach()),
        activations=[spread(name, x, saturation(name, x)) for name, x in seen.items()],
        gradients=[spread(name, g, None) for name, g in zip(seen, of_outputs, strict=True) if g is not None],
        weights=[
            spread(name, g, float(g.std() / matrices[name].detach().std()))
            for name, g in zip(matrices, of_weights, strict=True)
            if g is not None
        ],
    )


def named_matrices(network: Network) -> dict[str, Tensor]:
    """Return the learned matrices by name; they share memory with the network."""
    found: dict[str, Tensor] = {}
    for name, layer in network.layers.layers.items():
        found |= {f"{name}.{key}": array for key, array in layer.arrays().items() if array.requires_grad}
    return {name: array for name, array in found.items() if array.dim() > 1}


def saturation(name: str, x: Tensor) -> float | None:
    """Return the share of outputs where the layer's slope is nearly gone; None for an lstm's, which are products: its
    gates, a sigmoid and a tanh, tell.
    """
    kind = name.rpartition(".")[2]
    if kind.startswith("lstm"):
        return None
    x = x.detach()
    if kind.startswith("sigmoid"):
        return float(((2 * x - 1).abs() > SATURATED).float().mean())
    is_relu = bool((x >= 0).all())
    return float(((x == 0) if is_relu else (x.abs() > SATURATED)).float().mean())


def spread(name: str, x: Tensor, share: float | None) -> Spread:
    """Return the distribution of a tensor's numbers: all of them within four standard deviations, or from -1 to 1."""
    values = x.detach().flatten().double()
    mean, std = float(values.mean()), float(values.std())
    low, high = float(values.min()), float(values.max())
    if not (low >= -1 and high <= 1 and high - low > 0.5):
        low, high = max(low, mean - 4 * std), min(high, mean + 4 * std)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(values, BINS, low, high)
    edges = torch.linspace(low, high, BINS + 1, dtype=torch.float64)
    density = counts / (counts.sum().clamp(min=1) * (edges[1] - edges[0]))
    return Spread(name, mean, std, share, edges.tolist(), density.tolist())


def follow(trainer: Trainer, show: Callable[[Step], None]) -> Course:
    """Drive `trainer` to its end and return what happened; each step is shown."""
    matrices = named_matrices(trainer.network)
    ratios: dict[str, list[float]] = {name: [] for name in matrices}
    before = {name: matrix.detach().clone() for name, matrix in matrices.items()}
    for step in trainer.fit():
        for name, matrix in matrices.items():
            now = matrix.detach()
            ratios[name].append(float((now - before[name]).std() / before[name].std()))
            before[name].copy_(now)
        show(step)
    return Course(trainer.history.losses, trainer.history.dev, ratios)


def first_batch(examples: Examples, size: int, seed: int) -> Rows:
    """Return the rows of `size` names chosen by `seed`."""
    which = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))[:size]
    return examples.names_at(which)


class Unnormalised(Layer):
    """Hands on what it gets, in the place of a BatchNorm, with that one's arrays so that the network's names stay."""

    def __init__(self, norm: BatchNorm1d) -> None:
        self.norm = norm

    def __call__(self, x: Tensor) -> Tensor:
        return x * self.norm.gamma + self.norm.beta

    def arrays(self) -> dict[str, Tensor]:
        return self.norm.arrays()


def is_normalised(network: Network) -> bool:
    """Whether the network has a BatchNorm, which a bad start does without."""
    return any(isinstance(layer, BatchNorm1d | GatedStack) for layer in network.layers.layers.values())


def spoil(network: Network) -> None:
    """Make a bad start of a fresh network, in place: weights several times too large, and no BatchNorm to hide it."""
    layers = network.layers.layers
    for name, layer in layers.items():
        if isinstance(layer, BatchNorm1d):
            layers[name] = Unnormalised(layer)
        if isinstance(layer, GatedStack):
            for block in layer.blocks:
                block.norm = Unnormalised(block.norm)  # type: ignore[assignment]
    with torch.no_grad():
        matrices = named_matrices(network)
        *_, last = matrices
        for name, matrix in matrices.items():
            if name == last:
                matrix.mul_(SPOILT * SURE)
            elif name != "embedding.weight":
                matrix.mul_(SPOILT)


def plane(weights: Tensor) -> tuple[Tensor, float]:
    """Return rows (V, C) in their two directions of greatest spread, (V, 2), and the share of the spread they hold.

    Principal components by singular value decomposition of the centred rows.
    """
    centred = weights.detach().double() - weights.detach().double().mean(0)
    U, S, _ = torch.linalg.svd(centred, full_matrices=False)
    points = U[:, :2] * S[:2]
    total = float(S.square().sum())
    return points, float(S[:2].square().sum()) / total if total else 1.0
