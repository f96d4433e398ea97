"""Distillation: teachers label names, and a student learns from the soft targets."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models import Draft, Kernels, NameGenerator, Vocabulary
from models.inference import AS_DRAWN
from models.kernel.freeze import style_biases
from models.manifest import DataRecord
from models.networks import Network
from models.store.publishing import draft_generator
from models.styles import NO_STYLES, Styles
from training.dataset import Batch, Examples, NameBatches, Rows


class Ensemble:
    """Predicts the arithmetic mean of its members' probabilities, always in evaluation mode."""

    def __init__(self, members: Sequence[Network]) -> None:
        self.members = list(members)

    def names(self, ids: Tensor, positions: Tensor, *, styles: Tensor | None = None) -> Tensor:
        """Return the log of the mean probabilities (N, V) for concatenated names; they are valid logits."""
        self.eval()
        with torch.no_grad():
            logs = torch.stack(
                [torch.log_softmax(member.names(ids, positions, styles=styles), dim=1) for member in self.members]
            )
            return torch.logsumexp(logs, dim=0) - torch.tensor(float(len(self.members))).log()

    def eval(self) -> None:
        """Put every member into evaluation mode."""
        for member in self.members:
            member.eval()

    @property
    def parameter_count(self) -> int:
        """The number of parameters of all members."""
        return sum(member.parameter_count for member in self.members)


# Names labelled at a time.
CHUNK = 1024
# Names that each teacher samples by default, and the maximum for each name of the list.
SAMPLED_NAMES, PER_NAME = 40_000, 20
# Called with the number of labelled names and the total.
ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True)
class SoftTargets:
    """Names with the teachers' prediction at each position: `probabilities` (N, V) float32.

    `styles` (names, S): the values with which each name was labelled, None for no style.
    """

    examples: Examples
    probabilities: Tensor
    styles: Tensor | None = None


def scaled_styles(network: Network, scale: float) -> Network:
    """Return a copy of `network` whose style vectors are multiplied by `scale`.

    Above 1, a name shows its style more, as under classifier-free guidance (Ho & Salimans 2022); a student learns the
    guided distribution (Meng et al. 2023).
    """
    scaled = copy.deepcopy(network)
    state = scaled.state_dict()
    for name in style_biases(network.config).keys() & state.keys():
        state[name].mul_(scale)
    return scaled


def names_to_sample(names: int, most: int = SAMPLED_NAMES) -> int:
    """Return how many names each teacher samples for a list of `names`: at most `most`, and fewer for a short list."""
    return min(most, PER_NAME * names)


def teacher_generator(
    network: Network, vocabulary: Vocabulary, longest: int, kernels: Kernels, styles: Styles = NO_STYLES
) -> NameGenerator:
    """Return the generator of a teacher, whose names have at most `longest` characters."""
    record = DataRecord(title="a teacher's names", sha256="0" * 64, names=1, longest=longest, split_seed=0)
    draft = Draft(
        dataset="teacher",
        config=network.config,
        vocabulary=vocabulary,
        parameters=network.parameter_count,
        data=record,
        seed=0,
        metrics={},
        training={},
        arrays=network.to_arrays(),
        names=(),
        files={},
        styles=styles,
    )
    return draft_generator(draft, kernels)


def sample_names(generator: NameGenerator, count: int, seed: int) -> list[str]:
    """Sample `count` names at temperature 1, duplicates included."""
    return generator.generate(count, seed=seed, constraints=AS_DRAWN).names


def sample_styled(generator: NameGenerator, wanted: Tensor, seed: int) -> tuple[list[str], Tensor]:
    """Sample a name for each row of values in `wanted` (n, S): return the names and their values (n, S)."""
    combinations, counts = torch.unique(wanted, dim=0, return_counts=True)
    names, styles = list[str](), list[Tensor]()
    for values, count in zip(combinations, counts.tolist(), strict=True):
        chosen = generator.styles.chosen(values.nonzero()[:, 0].tolist())
        drawn = sample_names(generator.styled(chosen), count, seed)
        names += drawn
        styles.append(values.expand(len(drawn), -1))
    return names, torch.cat(styles)


def label_names(
    names: Sequence[str],
    vocabulary: Vocabulary,
    teachers: Ensemble,
    on_progress: ProgressCallback = lambda done, total: None,
    styles: Tensor | None = None,
) -> SoftTargets:
    """Return `names` labelled by `teachers`, with their `styles` (names, S).

    `on_progress` is called before each chunk and at the end.
    """
    examples = Examples.of(names, vocabulary)
    chunks = []
    for first in range(0, len(examples), CHUNK):
        on_progress(first, len(examples))
        which = torch.arange(first, min(first + CHUNK, len(examples)))
        rows = examples.names_at(which, styles=None if styles is None else styles[which])
        chunks.append(rows.logits(teachers).exp())
    on_progress(len(examples), len(examples))
    return SoftTargets(examples, torch.cat(chunks), styles)


@dataclass(frozen=True)
class SoftTargetRows:
    """Concatenated names with the teachers' probabilities as soft targets (N, V)."""

    rows: Rows
    targets: Tensor

    def logits(self, network: Network) -> Tensor:
        return self.rows.logits(network)


class SoftTargetBatches(NameBatches):
    """Batches of labelled names. Each pass covers all of them once, in a new order."""

    def __init__(
        self, soft_targets: SoftTargets, batch_size: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(soft_targets.examples, batch_size, generator, device)
        self.probabilities, self.values = soft_targets.probabilities, soft_targets.styles

    def draw(self) -> Batch:
        """Return the next batch."""
        which = self.choose()
        targets = self.probabilities[self.examples.row_numbers(which)].to(self.device)
        styles = None if self.values is None else self.values[which]
        return SoftTargetRows(self.examples.names_at(which, self.device, styles), targets)
