"""Distillation: teachers label names, an ensemble speaks for several, and a student learns from the soft targets."""

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
    """Predicts with the arithmetic mean of its members' probabilities, in evaluation mode always."""

    def __init__(self, members: Sequence[Network]) -> None:
        self.members = list(members)

    def names(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities (N, V), which are logits too, for whole names end to end."""
        self.eval()
        with torch.no_grad():
            logs = torch.stack([torch.log_softmax(member.names(ids, positions), dim=1) for member in self.members])
            return torch.logsumexp(logs, dim=0) - torch.tensor(float(len(self.members))).log()

    def eval(self) -> None:
        """Put every member into evaluation mode."""
        for member in self.members:
            member.eval()

    @property
    def parameter_count(self) -> int:
        """How many numbers all members learned."""
        return sum(member.parameter_count for member in self.members)


# Names labelled at a time.
CHUNK = 1024
# Names that each teacher invents, unless another number is given, and at most so many for each name of the list.
IMAGINED, PER_NAME = 40_000, 20
# Told how many of how many names are labelled.
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Lessons:
    """Names with what the teachers say at each of their positions: `probabilities` (N, V) float32."""

    examples: Examples
    probabilities: Tensor


def enough(names: int) -> int:
    """Return how many names each teacher invents beside a list of `names`: a short list is soon learned anyway."""
    return min(IMAGINED, PER_NAME * names)


def imagined(
    network: Network, vocabulary: Vocabulary, longest: int, kernels: Kernels, count: int, seed: int
) -> list[str]:
    """Return `count` names of at most `longest` characters that `network` invents at temperature 1, repeats and all."""
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


def lessons(
    names: Sequence[str], vocabulary: Vocabulary, teachers: Ensemble, told: Told = lambda done, total: None
) -> Lessons:
    """Return `names` labelled by `teachers`; `told` hears how far that is, from the beginning to the end."""
    examples = Examples.of(names, vocabulary)
    chunks = []
    for first in range(0, len(examples), CHUNK):
        told(first, len(examples))
        rows = examples.names_at(torch.arange(first, min(first + CHUNK, len(examples))))
        chunks.append(teachers.names(rows.ids, rows.positions).exp())
    told(len(examples), len(examples))
    return Lessons(examples, torch.cat(chunks))


@dataclass(frozen=True)
class TaughtRows:
    """Whole names laid end to end, with the teachers' probabilities in place of the characters: targets (N, V)."""

    rows: Rows
    targets: Tensor

    def logits(self, network: Network) -> Tensor:
        return network.names(self.rows.ids, self.rows.positions)


class TaughtBatches(NameBatches):
    """Batches of labelled names: each pass goes once through all of them, in a new order."""

    def __init__(
        self, lessons: Lessons, batch_size: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(lessons.examples, batch_size, generator, device)
        self.probabilities = lessons.probabilities

    def draw(self) -> Batch:
        """Return the next batch."""
        which = self.choose()
        targets = self.probabilities[self.examples.row_numbers(which)].to(self.device)
        return TaughtRows(self.examples.names_at(which, self.device), targets)
