"""The bigram twice, as numbers: its losses by counting, and the same table of weights found by descending the loss,
with smoothing or an L2 penalty. All in float64. Nothing is drawn or printed here.

V: characters, the end token included. N (V, V): how often character j follows i, float64. W (V, V): logits, one row for
each character before.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import one_hot

# Nothing that a loss of four digits shows is left to gain where no number of the gradient is larger.
FLAT = 1e-13


def log_probabilities(N: Tensor, smoothing: float) -> Tensor:
    """Return the logarithm of (N + smoothing) / row sum, (V, V): minus infinity for a pair never seen, unsmoothed.

    A character that nothing follows says nothing: its row is even.
    """
    P = N + smoothing
    sums = P.sum(1, keepdim=True)
    return torch.where(sums > 0, P / sums.clamp(min=1e-300), 1 / len(N)).log()


def loss_of(log_probs: Tensor, N: Tensor) -> float:
    """Return the loss over the pairs that `N` counts, in nats a character: infinite where an impossible one occurs."""
    seen = N > 0
    return -float((N[seen] * log_probs[seen]).sum() / N.sum())


def one_hot_loss(W: Tensor, ids: Tensor, targets: Tensor) -> float:
    """Return the same loss the plain way, row by row: `ids` and `targets` (N,) int64.

    A one-hot vector times a matrix picks a row of the matrix; that is all an embedding does.
    """
    x = one_hot(ids, len(W)).to(W.dtype)  # (N, V)
    logits = x @ W  # (N, V)
    log_probs = torch.log_softmax(logits, dim=1)
    return -float(log_probs.gather(1, targets[:, None]).mean())


def gradient(W: Tensor, N: Tensor, l2: float) -> Tensor:
    """Return the slope of the loss on `N` plus `l2` times the mean square of W, (V, V).

    The same pair has the same gradient wherever it stands, so rows are added up by counting them: how often the model
    expects j after i, less how often it was counted, over all pairs.
    """
    counted = N.sum(1, keepdim=True)
    expected = counted * W.softmax(1)
    return (expected - N) / N.sum() + 2 * l2 * W / W.numel()


def descend(N: Tensor, l2: float, steps: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of each step and W after it, descending from all zeros, where every guess is even.

    Rows never meet in the loss: each descends at the largest rate that is sure never to climb, 1 / (share / 2 + 2 l2 /
    V^2), the bound on its curvature (Nesterov 2004, section 1.2.3; the Hessian of a softmax is at most 1/2). The last
    step comes early where the ground is flat. W is changed in place. Raises `ValueError` where nothing is counted.
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
        if slope.abs().max() < FLAT:
            return
