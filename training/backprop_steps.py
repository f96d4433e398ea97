"""The long way: softmax cross-entropy and batch norm taken apart into steps so small that each has a slope known by
heart, forward and, step by step, backward. `backprop` has each in one expression; here one sees where it comes from.

Each `*_steps` returns what it computes by name, in order; each `*_backward` the gradients by the same names. A number
used in many places gets the sum of their gradients: what was spread out going forward is added up coming back.
"""

import torch
from torch import Tensor

from models.networks.layers import BatchNorm1d

Steps = dict[str, Tensor]


def cross_entropy_steps(logits: Tensor, targets: Tensor) -> Steps:
    """Return the steps from logits (B, V) to the loss (), the mean of -log softmax(logits)[target]."""
    maxima = logits.max(1, keepdim=True).values  # (B, 1)
    shifted = logits - maxima  # (B, V): no number is above 0 now, so that exp cannot overflow
    exps = shifted.exp()  # (B, V)
    sums = exps.sum(1, keepdim=True)  # (B, 1)
    inverses = sums.reciprocal()  # (B, 1)
    probs = exps * inverses  # (B, V)
    log_probs = probs.log()  # (B, V)
    loss = -log_probs[torch.arange(len(targets)), targets].mean()  # ()
    return {
        "maxima": maxima,
        "shifted": shifted,
        "exps": exps,
        "sums": sums,
        "inverses": inverses,
        "probs": probs,
        "log_probs": log_probs,
        "loss": loss,
    }


@torch.no_grad()
def cross_entropy_long_backward(steps: Steps, logits: Tensor, targets: Tensor) -> Steps:
    """Return the gradient of every step but the loss, and of the logits."""
    B = len(targets)
    dlog_probs = torch.zeros_like(logits)  # (B, V)
    dlog_probs[torch.arange(B), targets] = -1 / B  # only the target's were read
    dprobs = dlog_probs / steps["probs"]  # (B, V): the slope of log x is 1 / x
    dinverses = (dprobs * steps["exps"]).sum(1, keepdim=True)  # (B, 1)
    dsums = -dinverses * steps["inverses"].square()  # (B, 1): the slope of 1 / x is -1 / x^2
    dexps = dprobs * steps["inverses"] + dsums  # (B, V): used twice, in probs and in sums
    dshifted = dexps * steps["exps"]  # (B, V): exp is its own slope
    dmaxima = -dshifted.sum(1, keepdim=True)  # (B, 1): all but zero, for the shift changes no probability
    dlogits = dshifted.clone()  # (B, V)
    dlogits.scatter_add_(1, logits.argmax(1, keepdim=True), dmaxima)  # each maximum came from one logit
    return {
        "maxima": dmaxima,
        "shifted": dshifted,
        "exps": dexps,
        "sums": dsums,
        "inverses": dinverses,
        "probs": dprobs,
        "log_probs": dlog_probs,
        "logits": dlogits,
    }


def batch_norm_steps(layer: BatchNorm1d, x: Tensor) -> Steps:
    """Return the steps from x (N, C) to y (N, C), in training mode; running statistics stay as they are."""
    mean = x.mean(0, keepdim=True)  # (1, C)
    centred = x - mean  # (N, C)
    squares = centred.square()  # (N, C)
    variance = squares.mean(0, keepdim=True)  # (1, C), biased: over N
    inv_std = (variance + layer.eps).rsqrt()  # (1, C)
    x_hat = centred * inv_std  # (N, C)
    y = layer.gamma * x_hat + layer.beta  # (N, C)
    return {
        "mean": mean,
        "centred": centred,
        "squares": squares,
        "variance": variance,
        "inv_std": inv_std,
        "x_hat": x_hat,
        "y": y,
    }


@torch.no_grad()
def batch_norm_long_backward(steps: Steps, layer: BatchNorm1d, dy: Tensor) -> Steps:
    """Return the gradient of every step but y, of gamma and beta, and of x; dy (N, C)."""
    N = len(dy)
    dgamma = (dy * steps["x_hat"]).sum(0)  # (C,)
    dbeta = dy.sum(0)  # (C,)
    dx_hat = dy * layer.gamma  # (N, C)
    dinv_std = (dx_hat * steps["centred"]).sum(0, keepdim=True)  # (1, C)
    dvariance = -0.5 * dinv_std * steps["inv_std"].pow(3)  # (1, C): the slope of v^(-1/2) is -1/2 v^(-3/2)
    dsquares = dvariance.expand_as(dy) / N  # (N, C): a mean shares its gradient out evenly
    dcentred = dx_hat * steps["inv_std"] + dsquares * 2 * steps["centred"]  # (N, C): used twice
    dmean = -dcentred.sum(0, keepdim=True)  # (1, C)
    dx = dcentred + dmean / N  # (N, C): x was used twice as well, itself and in the mean
    return {
        "mean": dmean,
        "centred": dcentred,
        "squares": dsquares,
        "variance": dvariance,
        "inv_std": dinv_std,
        "x_hat": dx_hat,
        "gamma": dgamma,
        "beta": dbeta,
        "x": dx,
    }
