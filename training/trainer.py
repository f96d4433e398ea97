"""The training loop, which yields its steps, and the history of its losses."""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.config import STYLED
from models.networks import Network, build_model
from models.styles import NO_STYLES, Styles
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Batch, Batches, Examples, NameBatches, WindowBatches
from training.errors import TrainingError
from training.evaluation import cross_entropy, mean_loss, measured
from training.optim import SCHEDULES, clip, make_optimizer
from training.styles import StyleTable, styles_of
from training.transfer import WarmStart, copy_weights


@dataclass
class History:
    """`losses[i]`: the training loss of step i + 1's batch; `dev`: (step, dev loss) at each evaluation."""

    losses: list[float] = field(default_factory=list)
    dev: list[tuple[int, float]] = field(default_factory=list)

    def state(self) -> dict[str, Tensor]:
        """Return the history as float64 tensors."""
        dev = torch.tensor(self.dev, dtype=torch.float64).view(-1, 2)
        return {"losses": torch.tensor(self.losses, dtype=torch.float64), "dev": dev}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore `state`."""
        self.losses = state["losses"].tolist()
        self.dev = [(int(step), loss) for step, loss in state["dev"].tolist()]


def smoothed(losses: Sequence[float], points: int = 200) -> tuple[list[float], list[float]]:
    """Return at most `points` steps and losses: means over neighbouring steps, and their midpoints."""
    width = max(1, -(-len(losses) // points))
    starts = range(0, len(losses), width)
    groups = [losses[start : start + width] for start in starts]
    return [start + (len(g) + 1) / 2 for start, g in zip(starts, groups, strict=True)], [
        sum(g) / len(g) for g in groups
    ]


@dataclass(frozen=True)
class Step:
    """A finished step: its number from 1 to `total`, its batch loss, and the dev loss if evaluated."""

    step: int
    total: int
    loss: float
    learning_rate: float
    dev_loss: float | None


class Trainer:
    """Trains `network` on `train`, and keeps the weights with the lowest loss on `dev`.

    `generator` draws the batches, unless `batches` are given. The network is on `device`.
    """

    def __init__(
        self,
        network: Network,
        config: TrainingConfig,
        train: Examples,
        dev: Examples,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
        batches: Batches | None = None,
    ) -> None:
        self.network, self.config, self.dev, self.device = network, config, dev, device
        self.parameters = network.parameters()
        self.batches = batches or make_batches(config, train, generator, device)
        self.total = config.steps or min(config.passes * len(self.batches), config.max_steps or sys.maxsize)
        self.eval_every = config.eval_every or len(self.batches)
        self.optimizer = make_optimizer(config, self.parameters)
        self.history = History()
        self.step = 0
        self.best = _copy(network.state_dict())
        self.best_loss, self.best_step = math.inf, 0
        self.without_best = 0

    def fit(self) -> Iterator[Step]:
        """Train to the end and yield each step. Afterwards the network has its best weights.

        Raises `TrainingError` if the loss is not finite.
        """
        while not self.is_over:
            rate = self.config.learning_rate * SCHEDULES[self.config.schedule](self.step / self.total)
            loss = self.learn(rate)
            due = self.step % self.eval_every == 0 or self.step == self.total
            yield Step(self.step, self.total, loss, rate, self._examine() if due else None)
        self._take_best()

    def finish(self) -> None:
        """End before the last step, with the best weights so far. Raises `TrainingError` if there are none."""
        if not self.best_step:
            raise TrainingError("No dev loss was computed before the run stopped; give --resume to go on.")
        self._take_best()

    def _take_best(self) -> None:
        self.network.load_state_dict(self.best)
        self.network.eval()

    def learn(self, rate: float) -> float:
        """Make one step at the learning rate `rate` and return its batch loss.

        Raises `TrainingError` as `fit`.
        """
        loss = self._learn(self.batches.draw(), rate)
        self.step += 1
        self.history.losses.append(loss)
        return loss

    @property
    def is_over(self) -> bool:
        """Whether all steps are done, or the last `patience` dev losses were no new best."""
        is_out_of_patience = 0 < self.config.patience <= self.without_best
        return is_out_of_patience or self.step >= self.total

    def _learn(self, batch: Batch, rate: float) -> float:
        self.network.train()
        loss, gradients = self.gradients_of(batch)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(self._divergence())
        if self.config.grad_clip:
            clip(gradients, self.config.grad_clip)
        self.optimizer.step(gradients, rate)
        return value

    def gradients_of(self, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the loss of `batch` and the gradient of each parameter, including the penalty."""
        loss = cross_entropy(batch.logits(self.network), batch.targets).mean()
        return loss, torch.autograd.grad(loss + self._penalty(), self.parameters)

    def _divergence(self) -> str:
        rate = f"{self.config.learning_rate:g}"
        last = f"{self.history.losses[-1]:.4f} a step before" if self.history.losses else "never a number"
        return (
            f"The loss is not a number at step {self.step + 1:,} of {self.total:,} (it was {last}): the steps "
            f"are too large, and nothing is published. Lower --learning-rate (now {rate}) or set "
            "--grad-clip 1."
        )

    def _penalty(self) -> Tensor | float:
        if not self.config.l2:
            return 0.0
        squares = [parameter.square().mean() for parameter in self.parameters if parameter.dim() > 1]
        return self.config.l2 * torch.stack(squares).sum()

    def _examine(self) -> float:
        loss = mean_loss(self.network, self.dev, self.device)
        self.history.dev.append((self.step, loss))
        if loss < self.best_loss:
            self.best, self.best_loss, self.best_step = _copy(self.network.state_dict()), loss, self.step
            self.without_best = 0
        else:
            self.without_best += 1
        return loss

    def state(self) -> dict[str, Tensor]:
        """Return the state that determines later steps, copied to the CPU."""
        numbers = {
            "step": torch.tensor(self.step),
            "best_loss": torch.tensor(self.best_loss, dtype=torch.float64),
            "best_step": torch.tensor(self.best_step),
            "without_best": torch.tensor(self.without_best),
        }
        parts = {
            "trainer": numbers,
            "network": self.network.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state(),
            "batches": self.batches.state(),
            "history": self.history.state(),
        }
        return {f"{part}/{name}": t.cpu().clone() for part, tensors in parts.items() for name, t in tensors.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore `state`. Raises `KeyError`, `ValueError` or `RuntimeError` if it does not fit."""
        numbers = _part(state, "trainer")
        self.step, self.best_step = int(numbers["step"]), int(numbers["best_step"])
        self.best_loss, self.without_best = float(numbers["best_loss"]), int(numbers["without_best"])
        self.network.load_state_dict(_part(state, "network"))
        self.best = {name: tensor.to(self.device) for name, tensor in _part(state, "best").items()}
        self.optimizer.load_state(_part(state, "optimizer"))
        self.batches.load_state(_part(state, "batches"))
        self.history.load_state(_part(state, "history"))


def make_batches(
    config: TrainingConfig,
    train: Examples,
    generator: torch.Generator,
    device: torch.device | str,
    weights: Tensor | None = None,
    styles: StyleTable | None = None,
) -> Batches:
    """Return the batches that the config selects.

    `weights` (names,): how often each name is drawn; `styles`: those of the names, for batches of names.
    """
    if config.batch == "names":
        return NameBatches(train, config.batch_size, generator, device, weights, styles, config.style_dropout)
    return WindowBatches(train, config.model.block_size, config.batch_size, generator, device, weights)


def learned_styles(config: TrainingConfig, corpus: Corpus) -> Styles:
    """Return the styles of the list that the network learns: none for a bigram and a gated WaveNet, or for windows.

    Raises `TrainingError` for a column with too many values.
    """
    if corpus.styles is None or config.model.architecture not in STYLED or config.batch != "names":
        return NO_STYLES
    return styles_of(corpus.styles)


def style_table(config: TrainingConfig, corpus: Corpus, names: Sequence[str]) -> StyleTable | None:
    """Return the styles of some names of the list, or None where the network learns none."""
    styles = learned_styles(config, corpus)
    return StyleTable.of(names, corpus.styles, styles) if corpus.styles is not None and len(styles) else None


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def _part(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}/"): tensor for name, tensor in state.items() if name.startswith(f"{part}/")}


def new_trainer(
    config: TrainingConfig,
    corpus: Corpus,
    device: torch.device,
    start: WarmStart | None = None,
    batches: Batches | None = None,
) -> Trainer:
    """Return a trainer over the train and dev names of `corpus`.

    The config's seed decides weights and batches, unless `start` or `batches` are given.
    """
    generator = torch.Generator().manual_seed(config.seed)
    styles = learned_styles(config, corpus)
    # A start knows letters, but no weights that characters share.
    pieces = corpus.vocabulary.pieces if start is None else None
    network = build_model(config.model, len(corpus.vocabulary), generator, len(styles), pieces)
    if start is not None:
        copy_weights(network, corpus.vocabulary, start, styles)
    network.to(device)
    train = Examples.of(corpus.split.train, corpus.vocabulary)
    dev = Examples.of(measured(corpus.split).dev, corpus.vocabulary)
    if batches is None:
        weights = corpus.weights_of(corpus.split.train)
        given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
        batches = make_batches(config, train, generator, device, given, style_table(config, corpus, corpus.split.train))
    return Trainer(network, config, train, dev, generator, device, batches)
