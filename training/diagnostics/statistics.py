"""Statistics of a network during training: activations, gradients and updates.

Layers do not keep their outputs, so a callback collects them during the forward pass. `plots` draws the result.
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

# Nonlinear layers: the last part of their name begins with one of these.
NONLINEAR = ("activation", "tanh", "sigmoid", "relu", "lstm")
BINS = 60
# A tanh beyond this passes hardly any gradient; the same holds for a sigmoid this close to 0 or 1, and a ReLU at 0.
SATURATED = 0.97
# Factor on the weights of a bad start.
BAD_SCALE = 6.0
# Additional factor on the output weights, which makes the first predictions confident and wrong.
BAD_OUTPUT_SCALE = 10.0


@dataclass(frozen=True)
class Distribution:
    """The distribution of one tensor's values: `counts` (BINS,) as a density over `edges` (BINS + 1,).

    `share` is the saturated share (activations), or the gradient's standard deviation over that of the weights
    (weights); None if neither applies.
    """

    name: str
    mean: float
    std: float
    share: float | None
    edges: Sequence[float]
    counts: Sequence[float]


@dataclass(frozen=True)
class Snapshot:
    """One batch: its loss, and the distributions of activations, their gradients, and weight gradients."""

    loss: float
    activations: Sequence[Distribution]
    gradients: Sequence[Distribution]
    weights: Sequence[Distribution]


@dataclass(frozen=True)
class TrainingCurve:
    """A short run: batch losses, (step, dev loss), and the update:data ratio of each matrix at each step."""

    losses: Sequence[float]
    dev: Sequence[tuple[int, float]]
    ratios: dict[str, list[float]]


def snapshot(network: Network, rows: Rows) -> Snapshot:
    """Return the statistics of one batch in training mode. The network is unchanged, in evaluation mode."""
    seen: dict[str, Tensor] = {}

    def see(name: str, output: Tensor) -> None:
        if output.requires_grad and name.rpartition(".")[2].startswith(NONLINEAR):
            output.retain_grad()
            seen[name] = output

    kept = {name: array.clone() for name, array in network.state_dict().items()}
    network.train()
    loss = cross_entropy(network.names(rows.ids, rows.positions, see), rows.targets).mean()
    matrices = named_matrices(network)
    inputs = [*matrices.values(), *seen.values()]
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    network.load_state_dict(kept)  # the forward pass updated the running statistics
    network.eval()
    of_weights, of_outputs = gradients[: len(matrices)], gradients[len(matrices) :]
    return Snapshot(
        loss=float(loss.detach()),
        activations=[distribution(name, x, saturation(name, x)) for name, x in seen.items()],
        gradients=[distribution(name, g, None) for name, g in zip(seen, of_outputs, strict=True) if g is not None],
        weights=[
            distribution(name, g, float(g.std() / matrices[name].detach().std()))
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
    """Return the share of outputs where the layer's slope is nearly 0.

    None for the outputs of an LSTM, which are products; its gates, a sigmoid and a tanh, have a share.
    """
    kind = name.rpartition(".")[2]
    if kind.startswith("lstm"):
        return None
    x = x.detach()
    if kind.startswith("sigmoid"):
        return float(((2 * x - 1).abs() > SATURATED).float().mean())
    is_relu = bool((x >= 0).all())
    return float(((x == 0) if is_relu else (x.abs() > SATURATED)).float().mean())


def distribution(name: str, x: Tensor, share: float | None) -> Distribution:
    """Return the distribution of a tensor's values, from -1 to 1 or within four standard deviations."""
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
    return Distribution(name, mean, std, share, edges.tolist(), density.tolist())


def record_training(trainer: Trainer, show: Callable[[Step], None]) -> TrainingCurve:
    """Run `trainer` to its end, pass each step to `show`, and return the training curve."""
    matrices = named_matrices(trainer.network)
    ratios: dict[str, list[float]] = {name: [] for name in matrices}
    before = {name: matrix.detach().clone() for name, matrix in matrices.items()}
    for step in trainer.fit():
        for name, matrix in matrices.items():
            now = matrix.detach()
            ratios[name].append(float((now - before[name]).std() / before[name].std()))
            before[name].copy_(now)
        show(step)
    return TrainingCurve(trainer.history.losses, trainer.history.dev, ratios)


def first_batch(examples: Examples, size: int, seed: int) -> Rows:
    """Return the rows of `size` names chosen by `seed`."""
    which = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))[:size]
    return examples.names_at(which)


class DisabledBatchNorm(Layer):
    """Replaces a BatchNorm and does not normalise. It keeps the arrays, so that names do not change."""

    def __init__(self, norm: BatchNorm1d) -> None:
        self.norm = norm

    def __call__(self, x: Tensor) -> Tensor:
        return x * self.norm.gamma + self.norm.beta

    def arrays(self) -> dict[str, Tensor]:
        return self.norm.arrays()


def has_batch_norm(network: Network) -> bool:
    """Return whether the network has a BatchNorm, which a bad start disables."""
    return any(isinstance(layer, BatchNorm1d | GatedStack) for layer in network.layers.layers.values())


def break_init(network: Network) -> None:
    """Give a fresh network a bad start, in place: weights that are too large, and no BatchNorm."""
    layers = network.layers.layers
    for name, layer in layers.items():
        if isinstance(layer, BatchNorm1d):
            layers[name] = DisabledBatchNorm(layer)
        if isinstance(layer, GatedStack):
            for block in layer.blocks:
                block.norm = DisabledBatchNorm(block.norm)  # type: ignore[assignment]
    with torch.no_grad():
        matrices = named_matrices(network)
        *_, last = matrices
        for name, matrix in matrices.items():
            if name == last:
                matrix.mul_(BAD_SCALE * BAD_OUTPUT_SCALE)
            elif name != "embedding.weight":
                matrix.mul_(BAD_SCALE)


def principal_plane(weights: Tensor) -> tuple[Tensor, float]:
    """Return rows (V, C) along their two principal components, (V, 2), and their share of the variance.

    Principal components by singular value decomposition of the centred rows.
    """
    centred = weights.detach().double() - weights.detach().double().mean(0)
    U, S, _ = torch.linalg.svd(centred, full_matrices=False)
    points = U[:, :2] * S[:2]
    total = float(S.square().sum())
    return points, float(S[:2].square().sum()) / total if total else 1.0
