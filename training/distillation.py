"""Distillation: teachers label names, and a student learns from the soft targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models import Draft, Kernels, Vocabulary
from models.inference import AS_DRAWN
from models.manifest import DataRecord
from models.networks import Network
from models.store.publishing import draft_generator
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
    """Names with the teachers' prediction at each position: `probabilities` (N, V) float32."""

    examples: Examples
    probabilities: Tensor


def names_to_sample(names: int) -> int:
    """Return how many names each teacher samples for a list of `names`; a short list needs fewer."""
    return min(SAMPLED_NAMES, PER_NAME * names)


def sample_names(
    network: Network, vocabulary: Vocabulary, longest: int, kernels: Kernels, count: int, seed: int
) -> list[str]:
    """Sample `count` names of at most `longest` characters at temperature 1, duplicates included."""
    record = DataRecord(title="a teacher's names", sha256="0" * 64, names=1, longest=longest, split_seed=0)
    draft = Draft(
        dataset="teacher",
        config=network.config,
        vocabulary=vocabulary,
        parameters=network.parameter_count,
        data=record,
        seed=seed,
        metrics={},
        training={},
        arrays=network.to_arrays(),
        names=(),
        files={},
    )
    return draft_generator(draft, kernels).generate(count, seed=seed, constraints=AS_DRAWN).names


def label_names(
    names: Sequence[str],
    vocabulary: Vocabulary,
    teachers: Ensemble,
    on_progress: ProgressCallback = lambda done, total: None,
) -> SoftTargets:
    """Return `names` labelled by `teachers`. `on_progress` is called before each chunk and at the end."""
    examples = Examples.of(names, vocabulary)
    chunks = []
    for first in range(0, len(examples), CHUNK):
        on_progress(first, len(examples))
        rows = examples.names_at(torch.arange(first, min(first + CHUNK, len(examples))))
        chunks.append(teachers.names(rows.ids, rows.positions).exp())
    on_progress(len(examples), len(examples))
    return SoftTargets(examples, torch.cat(chunks))


@dataclass(frozen=True)
class SoftTargetRows:
    """Concatenated names with the teachers' probabilities as soft targets (N, V)."""

    rows: Rows
    targets: Tensor

    def logits(self, network: Network) -> Tensor:
        return network.names(self.rows.ids, self.rows.positions)


class SoftTargetBatches(NameBatches):
    """Batches of labelled names. Each pass covers all of them once, in a new order."""

    def __init__(
        self, soft_targets: SoftTargets, batch_size: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(soft_targets.examples, batch_size, generator, device)
        self.probabilities = soft_targets.probabilities

    def draw(self) -> Batch:
        """Return the next batch."""
        which = self.choose()
        targets = self.probabilities[self.examples.row_numbers(which)].to(self.device)
        return SoftTargetRows(self.examples.names_at(which, self.device), targets)
