"""The rows of the names.txt benchmark: trained, counted, averaged or distilled models.

The only files are the weights that later rows use.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.lists import Parts
from models import prepare
from models.networks import Network, bigram_by_counting, build_model
from training.config import TrainingConfig, load_config
from training.dataset import Batches, Examples
from training.device import choose_device
from training.distillation import (
    SAMPLED_NAMES,
    Ensemble,
    SoftTargetBatches,
    label_names,
    sample_names,
    teacher_generator,
)
from training.errors import TrainingError
from training.evaluation import name_losses
from training.kneser_ney import KneserNey
from training.trainer import Step, Trainer

Show = Callable[[Step], None]
PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class Row:
    """A row: its kind, and the row `against` which it is compared name by name.

    If `decay` is not 0, a running mean of the weights with this decay replaces them at the end.
    """

    kind: str
    preset: str = ""
    seeds: tuple[int, ...] = (1,)
    overrides: Mapping[str, object] = field(default_factory=dict)
    against: str = "kneser_ney"
    decay: float = 0.0
    about: str = ""


@dataclass(frozen=True)
class RowResult:
    """The result of a row: parameters, seconds of training, and the loss of every name by part (names,) float64."""

    parameters: int
    seconds: float
    losses: Mapping[str, Tensor]
    network: Network | None = None


ROWS: dict[str, Row] = {
    "kneser_ney": Row("counted", about="interpolated, order 6"),
    "bigram": Row("trained", "bigram", about="counts, add-one"),
    "mlp": Row("trained", "mlp"),
    "wavenet": Row("trained", "wavenet"),
    "gated_wavenet": Row("trained", "gated_wavenet", (1, 2), against="wavenet"),
    "lstm": Row("trained", "lstm", (1, 2, 3), against="gated_wavenet"),
    "lstm-no-dropout": Row(
        "trained",
        "lstm",
        overrides={"dropout": 0.0, "input_dropout": 0.0},
        against="lstm",
        about="its best step kept, as always",
    ),
    "lstm-averaged": Row("trained", "lstm", against="lstm", decay=0.998, about="its weights averaged over the steps"),
    "ensemble": Row("averaged", against="lstm", about="mean of 3 lstm and 2 gated_wavenet"),
    "distilled": Row(
        "distilled", "lstm-student-large", (1, 2, 3), against="lstm", about="one lstm taught by the ensemble"
    ),
}
MEMBERS = (("lstm", 1), ("lstm", 2), ("lstm", 3), ("gated_wavenet", 1), ("gated_wavenet", 2))


class RowTrainer:
    """Trains the rows of one list, and keeps weights in `folder` for rows that build on others."""

    def __init__(self, parts: Parts, folder: Path, show: Show) -> None:
        self.parts, self.folder, self.show = parts, folder, show
        self.examples = {part: parts.examples(part) for part in PARTS}

    def make(self, name: str, seed: int) -> RowResult:
        """Train row `name` and return its result. Raises `TrainingError` if a row that it builds on is missing."""
        choose_device("cpu")
        row = ROWS[name]
        made = {
            "trained": self._train,
            "counted": self._count,
            "averaged": self._average,
            "distilled": self._distil,
        }[row.kind](row, seed)
        self._keep(name, seed, made)
        return made

    def dev_losses(self, name: str, seed: int) -> Tensor | None:
        """Return the loss of each dev name of an earlier row, None if there is none."""
        path = self._path(name, seed)
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return torch.from_numpy(arrays["dev_losses"])

    def _train(self, row: Row, seed: int) -> RowResult:
        config = load_config(row.preset, "", {**row.overrides, "seed": seed})
        if config.method == "counting":
            began = time.perf_counter()
            network = bigram_by_counting(self.parts.train, self.parts.vocabulary, config.smoothing)
            return self._measured(network, time.perf_counter() - began)
        return self._learn(config, self.examples["train"], decay=row.decay)

    def _learn(
        self, config: TrainingConfig, train: Examples, batches: Batches | None = None, decay: float = 0.0
    ) -> RowResult:
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(config.model, len(self.parts.vocabulary), generator)
        trainer = Trainer(network, config, train, self.examples["dev"], generator, batches=batches)
        mean = {name: array.clone() for name, array in network.state_dict().items()}
        began = time.perf_counter()
        for step in trainer.fit():
            self.show(step)
            if decay:
                # Short at first, so that the mean forgets the untrained weights.
                weight = 1 - min(decay, step.step / (step.step + 10))
                for name, array in network.state_dict().items():
                    mean[name].lerp_(array, weight)
        seconds = time.perf_counter() - began
        if decay:
            network.load_state_dict(mean)
        return self._measured(network, seconds)

    def _count(self, row: Row, seed: int) -> RowResult:
        began = time.perf_counter()
        model = KneserNey.fit(self.parts.train, self.parts.vocabulary)
        seconds = time.perf_counter() - began
        return RowResult(0, seconds, {part: model.name_losses(getattr(self.parts, part)) for part in PARTS})

    def _average(self, row: Row, seed: int) -> RowResult:
        return self._measured(Ensemble([self._again(*member) for member in MEMBERS]), 0.0)

    def _distil(self, row: Row, seed: int) -> RowResult:
        members = [self._again(*member) for member in MEMBERS]
        kernels, vocabulary = prepare(), self.parts.vocabulary
        longest = max(map(len, self.parts.train))
        began = time.perf_counter()
        names = list(self.parts.train)
        for i, member in enumerate(members):
            source = teacher_generator(member, vocabulary, longest, kernels)
            names += sample_names(source, SAMPLED_NAMES, 1000 * seed + i)
        soft_targets = label_names(names, vocabulary, Ensemble(members))
        prepared = time.perf_counter() - began
        config = load_config(row.preset, "", {**row.overrides, "seed": seed})
        batches = SoftTargetBatches(soft_targets, config.batch_size, torch.Generator().manual_seed(seed))
        made = self._learn(config, soft_targets.examples, batches)
        return RowResult(made.parameters, made.seconds + prepared, made.losses, made.network)

    def _measured(self, network: Network | Ensemble, seconds: float) -> RowResult:
        losses = {part: name_losses(network, examples) for part, examples in self.examples.items()}
        single = network if isinstance(network, Network) else None
        return RowResult(network.parameter_count, seconds, losses, single)

    def _again(self, name: str, seed: int) -> Network:
        """Return the network of an earlier trained row."""
        path = self._path(name, seed)
        if not path.is_file():
            raise TrainingError(f"This row builds on {name}, seed {seed}, which was not made yet: --rows {name} first.")
        row = ROWS[name]
        config = load_config(row.preset, "", dict(row.overrides)).model
        network = build_model(config, len(self.parts.vocabulary), torch.Generator())
        with np.load(path, allow_pickle=False) as arrays:
            prefix = "weights/"
            network.load_arrays({k.removeprefix(prefix): arrays[k] for k in arrays.files if k.startswith(prefix)})
        network.eval()
        return network

    def _keep(self, name: str, seed: int, made: RowResult) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        weights = {} if made.network is None else made.network.to_arrays()
        arrays = {f"weights/{key}": array for key, array in weights.items()}
        draft = self._path(name, seed).with_suffix(".part")
        with draft.open("wb") as file:
            np.savez(file, dev_losses=made.losses["dev"].numpy(), **arrays)  # type: ignore[arg-type]
        draft.replace(self._path(name, seed))

    def _path(self, name: str, seed: int) -> Path:
        return self.folder / f"{name}-{seed}.npz"
