"""Names as tensors: concatenated examples without padding, and batches of them.

A name of length L has L + 1 rows: the input characters (0 first) and the characters to predict (0 last). An explicit
generator on the CPU selects the names or windows of a batch, so that every device gets the same batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from models import Vocabulary
from models.networks import Network
from training.styles import StyleTable


class Predictor(Protocol):
    """A model that predicts the next character at every position: a network or an ensemble."""

    def names(self, ids: Tensor, positions: Tensor, *, styles: Tensor | None = None) -> Tensor:
        """Return logits (N, V), as `Network.names` does."""

    def eval(self) -> None:
        """Switch to evaluation mode."""


class Batch(Protocol):
    """The inputs and `targets` (N,) int64 of one training step."""

    @property
    def targets(self) -> Tensor:
        """The characters to predict, (N,) int64."""

    def logits(self, network: Network) -> Tensor:
        """Return the network's predictions (N, V)."""


@dataclass(frozen=True)
class Rows:
    """Concatenated names: ids (N,), positions (N,) within each name, targets (N,), all int64.

    `styles` (N, S): 1 for each value of a style that a row's name has; None for no style.
    """

    ids: Tensor
    positions: Tensor
    targets: Tensor
    styles: Tensor | None = None

    def logits(self, network: Predictor) -> Tensor:
        return network.names(self.ids, self.positions, styles=self.styles)


@dataclass(frozen=True)
class Windows:
    """Single positions with their contexts: X (N, block_size), targets (N,), both int64."""

    X: Tensor
    targets: Tensor

    def logits(self, network: Network) -> Tensor:
        return network.windows(self.X)


@dataclass(frozen=True)
class Examples:
    """All rows of a list of names, on the CPU.

    `starts` (names,): the first row of each name; `lengths` (names,): its number of rows.
    """

    rows: Rows
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, names: Sequence[str], vocabulary: Vocabulary) -> "Examples":
        """Return the rows of `names`. Raises `UnknownCharacter`, and `ValueError` for an empty list."""
        if not names:
            raise ValueError("There are no names to make examples of.")
        encoded = [[*vocabulary.encode(name), 0] for name in names]
        lengths = torch.tensor(list(map(len, encoded)))
        targets = torch.tensor([i for name in encoded for i in name])
        starts = lengths.cumsum(0) - lengths
        positions = torch.arange(len(targets)) - starts.repeat_interleave(lengths)
        # The input of a row is the previous target: for a name's first row, the 0 that ends the name before.
        return cls(Rows(targets.roll(1), positions, targets), starts, lengths)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self.starts)

    def names_at(self, which: Tensor, device: torch.device | str = "cpu", styles: Tensor | None = None) -> Rows:
        """Return the rows of the names with numbers `which` (B,), in that order, with their styles (B, S)."""
        n, rows = self.row_numbers(which), self.rows
        found = Rows(rows.ids[n].to(device), rows.positions[n].to(device), rows.targets[n].to(device))
        if styles is None:
            return found
        return replace(found, styles=styles.repeat_interleave(self.lengths[which], dim=0).to(device))

    def row_numbers(self, which: Tensor) -> Tensor:
        """Return the row indices of the names with numbers `which` (B,), in that order."""
        lengths = self.lengths[which]
        ends = lengths.cumsum(0)
        shift = self.starts[which] - (ends - lengths)
        return torch.arange(int(ends[-1])) + shift.repeat_interleave(lengths)

    def windows(self, block_size: int) -> Windows:
        """Return every position with its last `block_size` characters.

        They are in order, oldest first, padded with 0 on the left.
        """
        n = torch.arange(len(self.rows.ids))
        # The context stops at position 0, whose id 0 is the padding.
        back = [n - self.rows.positions.clamp(max=j) for j in range(block_size - 1, -1, -1)]
        return Windows(torch.stack([self.rows.ids[rows] for rows in back], dim=1), self.rows.targets)


def drawn(ends: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return n numbers (n,) int64, drawn with replacement in proportion to weights, by inversion of their sums `ends`.

    torch.multinomial has a limit of 2^24 weights.
    """
    places = torch.rand(n, generator=generator, dtype=torch.float64) * ends[-1]
    return torch.searchsorted(ends, places, right=True).clamp(max=len(ends) - 1)


class Batches(Protocol):
    """An endless source of batches whose state can be saved."""

    def __len__(self) -> int:
        """Return the number of steps in one pass."""

    def draw(self) -> Batch:
        """Return the next batch."""

    def state(self) -> dict[str, Tensor]:
        """Return the state that determines later batches."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore `state`."""


class NameBatches:
    """Batches of whole names. Each pass covers all of them once, in a new order.

    With `weights` (names,) float64 a pass draws as many names in proportion to them, with replacement. With `styles`
    each name has values of one of its rows, each left out with probability `style_dropout`.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
        weights: Tensor | None = None,
        styles: StyleTable | None = None,
        style_dropout: float = 0.0,
    ) -> None:
        self.examples, self.batch_size, self.generator, self.device = examples, batch_size, generator, device
        self.styles, self.style_dropout = styles, style_dropout
        self.ends = None if weights is None else weights.cumsum(0)
        self.order = torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        """Return the number of steps in one pass."""
        return -(-len(self.examples) // self.batch_size)

    def draw(self) -> Batch:
        """Return the next batch."""
        which = self.choose()
        styles = None if self.styles is None else self.styles.draw(which, self.style_dropout, self.generator)
        return self.examples.names_at(which, self.device, styles)

    def choose(self) -> Tensor:
        """Return the numbers of the next batch's names (B,)."""
        if not len(self.order):
            self.order = self._next_order()
        which, self.order = self.order[: self.batch_size], self.order[self.batch_size :]
        return which

    def _next_order(self) -> Tensor:
        n = len(self.examples)
        if self.ends is None:
            return torch.randperm(n, generator=self.generator)
        return drawn(self.ends, n, self.generator)

    def state(self) -> dict[str, Tensor]:
        """Return the state of the generator and the rest of this pass."""
        return {"generator": self.generator.get_state(), "order": self.order.clone()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore `state`."""
        self.generator.set_state(state["generator"])
        self.order = state["order"].clone()


class WindowBatches:
    """Batches of random positions, drawn with replacement as in the lectures.

    With `weights` (names,) float64 a position is drawn in proportion to the weight of its name.
    """

    def __init__(
        self,
        examples: Examples,
        block_size: int,
        batch_size: int,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
        weights: Tensor | None = None,
    ) -> None:
        self.all = examples.windows(block_size)
        self.batch_size, self.generator, self.device = batch_size, generator, device
        self.ends = None if weights is None else weights.repeat_interleave(examples.lengths).cumsum(0)

    def __len__(self) -> int:
        """Return the number of steps that draw as many windows as there are."""
        return -(-len(self.all.targets) // self.batch_size)

    def draw(self) -> Windows:
        """Return the next batch."""
        if self.ends is None:
            n = torch.randint(len(self.all.targets), (self.batch_size,), generator=self.generator)
        else:
            n = drawn(self.ends, self.batch_size, self.generator)
        return Windows(self.all.X[n].to(self.device), self.all.targets[n].to(self.device))

    def state(self) -> dict[str, Tensor]:
        """Return the state of the generator."""
        return {"generator": self.generator.get_state()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore `state`."""
        self.generator.set_state(state["generator"])
