"""The loss: mean negative log-likelihood per character in nats, end token included. Nothing else."""

import torch
from torch import Tensor


def surprise(logits: Tensor, targets: Tensor) -> Tensor:
    """Return -log softmax(logits)[target] for each row: logits (N, V), targets (N,) -> (N,), in nats."""
    return -torch.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
