"""The loss: mean negative log-likelihood per character in nats, end token included. Nothing else."""

import torch
from torch import Tensor


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each row in nats: logits (N, V) -> (N,).

    `targets` are characters (N,) int64, and then it is -log softmax(logits)[target]; or probabilities (N, V), as a
    teacher gives them.
    """
    log_probs = torch.log_softmax(logits, dim=1)
    if targets.dtype.is_floating_point:
        return -(targets * log_probs).sum(1)
    return -log_probs.gather(1, targets[:, None])[:, 0]
