"""Several networks that answer as one: the mean of their probabilities. Nothing is trained here."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.networks import Network


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
