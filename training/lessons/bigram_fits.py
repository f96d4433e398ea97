"""The bigram by counting and by gradient descent, with smoothing or an L2 penalty, in float64.

V: characters, including the end token. N (V, V): how often character j follows i, float64. W (V, V): logits, one row
for each preceding character.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import one_hot

# Largest entry of the gradient at which descent stops: four digits of the loss no longer change.
GRADIENT_TOLERANCE = 1e-13


def log_probabilities(N: Tensor, smoothing: float) -> Tensor:
    """Return the log of (N + smoothing) / row sum, (V, V).

    Without smoothing, an unseen pair has minus infinity. The row of a character that nothing follows is uniform.
    """
    P = N + smoothing
    sums = P.sum(1, keepdim=True)
    return torch.where(sums > 0, P / sums.clamp(min=1e-300), 1 / len(N)).log()


def loss_of(log_probs: Tensor, N: Tensor) -> float:
    """Return the loss over the counted pairs in nats per character, infinite if one has probability 0."""
    seen = N > 0
    return -float((N[seen] * log_probs[seen]).sum() / N.sum())


def one_hot_loss(W: Tensor, ids: Tensor, targets: Tensor) -> float:
    """Return the same loss row by row, with one-hot vectors: `ids` and `targets` (N,) int64.

    A one-hot vector times a matrix picks a row of the matrix; that is all an embedding does.
    """
    x = one_hot(ids, len(W)).to(W.dtype)  # (N, V)
    logits = x @ W  # (N, V)
    log_probs = torch.log_softmax(logits, dim=1)
    return -float(log_probs.gather(1, targets[:, None]).mean())


def gradient(W: Tensor, N: Tensor, l2: float) -> Tensor:
    """Return the gradient of the loss on `N` plus `l2` times the mean square of W, (V, V).

    A pair has the same gradient at every position, so counts replace the sum over positions: the expected count of j
    after i minus the observed count, divided by the number of pairs.
    """
    counted = N.sum(1, keepdim=True)
    expected = counted * W.softmax(1)
    return (expected - N) / N.sum() + 2 * l2 * W / W.numel()


def descend(N: Tensor, l2: float, steps: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of each step and W after it, starting at zeros, a uniform distribution.

    The loss separates over rows. Each row has the largest rate that never increases the loss, 1 / (share / 2 + 2 l2 /
    V^2), from the bound on its curvature (Nesterov 2004, section 1.2.3; the Hessian of a softmax is at most 1/2).
    Descent stops early once the gradient is small. W is changed in place. Raises `ValueError` if nothing is counted.
    """
    if not N.sum() > 0:
        raise ValueError("There are no pairs of characters to learn from.")
    share = N.sum(1, keepdim=True) / N.sum()
    curvature = share / 2 + 2 * l2 / N.numel()
    rates = torch.where(curvature > 0, 1 / curvature.clamp(min=1e-300), 0.0)  # (V, 1)
    W = torch.zeros_like(N)
    for step in range(1, steps + 1):
        slope = gradient(W, N, l2)
        W -= rates * slope
        yield step, W
        if slope.abs().max() < GRADIENT_TOLERANCE:
            return
