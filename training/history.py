"""What happened at each step of a run, for the plot and the card, and for going on after an interruption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class History:
    """`losses[i]`: the training loss of step i + 1's batch; `dev`: (step, dev loss) wherever it was measured."""

    losses: list[float] = field(default_factory=list)
    dev: list[tuple[int, float]] = field(default_factory=list)

    def state(self) -> dict[str, Tensor]:
        """Return everything as float64 tensors."""
        dev = torch.tensor(self.dev, dtype=torch.float64).view(-1, 2)
        return {"losses": torch.tensor(self.losses, dtype=torch.float64), "dev": dev}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on where `state` was taken."""
        self.losses = state["losses"].tolist()
        self.dev = [(int(step), loss) for step, loss in state["dev"].tolist()]


def smoothed(losses: Sequence[float], points: int = 200) -> tuple[list[float], list[float]]:
    """Return at most `points` steps and losses: means over neighbouring steps, and where their middles lie."""
    width = max(1, -(-len(losses) // points))
    starts = range(0, len(losses), width)
    groups = [losses[start : start + width] for start in starts]
    return [start + (len(g) + 1) / 2 for start, g in zip(starts, groups, strict=True)], [
        sum(g) / len(g) for g in groups
    ]
