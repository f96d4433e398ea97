"""The backward pass of every layer by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.networks.layers import BatchNorm1d, Embedding, FlattenConsecutive, Layer, Linear, ReLU, Sequential, Tanh

Steps = dict[str, Tensor]


def cross_entropy_steps(logits: Tensor, targets: Tensor) -> Steps:
    """Return the steps from logits (B, V) to the loss (), the mean of -log softmax(logits)[target]."""
    maxima = logits.max(1, keepdim=True).values  # (B, 1)
    shifted = logits - maxima  # (B, V): at most 0, so that exp cannot overflow
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
    dlog_probs[torch.arange(B), targets] = -1 / B  # only those of the targets are used
    dprobs = dlog_probs / steps["probs"]  # (B, V): the slope of log x is 1 / x
    dinverses = (dprobs * steps["exps"]).sum(1, keepdim=True)  # (B, 1)
    dsums = -dinverses * steps["inverses"].square()  # (B, 1): the slope of 1 / x is -1 / x^2
    dexps = dprobs * steps["inverses"] + dsums  # (B, V): used twice, in probs and in sums
    dshifted = dexps * steps["exps"]  # (B, V): exp is its own slope
    dmaxima = -dshifted.sum(1, keepdim=True)  # (B, 1): almost 0, because the shift changes no probability
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
    """Return the steps from x (N, C) to y (N, C), in training mode; running statistics do not change."""
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
    dsquares = dvariance.expand_as(dy) / N  # (N, C): a mean spreads its gradient evenly
    dcentred = dx_hat * steps["inv_std"] + dsquares * 2 * steps["centred"]  # (N, C): used twice
    dmean = -dcentred.sum(0, keepdim=True)  # (1, C)
    dx = dcentred + dmean / N  # (N, C): x is used twice, directly and in the mean
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


# Gradients of a layer's own arrays, by name.
Own = dict[str, Tensor]


@dataclass(frozen=True)
class Gradients:
    """Gradients of the loss: of `outputs` by layer name, and of `parameters` by "layer.array"."""

    outputs: Mapping[str, Tensor]
    parameters: Mapping[str, Tensor]


def forward(layers: Sequential, X: Tensor) -> dict[str, Tensor]:
    """Return every layer's output for X (B, T) int64, in order; the last are the logits (B, V)."""
    outputs, x = {}, X
    for name, layer in layers.layers.items():
        outputs[name] = x = layer(x)
    return outputs


@torch.no_grad()
def backward(layers: Sequential, X: Tensor, outputs: Mapping[str, Tensor], targets: Tensor) -> Gradients:
    """Return the gradients of the mean cross-entropy; `outputs` are those of `forward` in training mode.

    From the loss to the characters, each layer takes the gradient of its output and returns that of its input. Raises
    `TypeError` for a layer without a rule.
    """
    named = list(layers.layers.items())
    inputs = [X, *outputs.values()][:-1]
    *_, logits = outputs.values()
    by_output: dict[str, Tensor] = {}
    by_parameter: dict[str, Tensor] = {}
    dx: Tensor | None = cross_entropy_backward(logits, targets)
    for (name, layer), x in zip(reversed(named), reversed(inputs), strict=True):
        if dx is None:
            raise TypeError(f"{name} passes its gradient to characters, which have none.")
        dy = by_output[name] = dx
        dx, own = layer_backward(layer, x, outputs[name], dy)
        by_parameter |= {f"{name}.{key}": gradient for key, gradient in own.items()}
    return Gradients(dict(reversed(by_output.items())), by_parameter)


def layer_backward(layer: Layer, x: Tensor, y: Tensor, dy: Tensor) -> tuple[Tensor | None, Own]:
    """Return dx, None if x are characters, and the gradients of the layer's parameters. y = layer(x).

    Raises `TypeError` for a layer without a rule.
    """
    match layer:
        case Linear():
            return linear_backward(layer, x, dy)
        case BatchNorm1d():
            return batch_norm_backward(layer, x, dy)
        case Tanh():
            return tanh_backward(y, dy), {}
        case ReLU():
            return relu_backward(y, dy), {}
        case FlattenConsecutive():
            return flatten_backward(x, dy), {}
        case Embedding():
            return None, {"weight": embedding_backward(layer.weight, x, dy)}
    raise TypeError(f"There is no rule by hand for a {type(layer).__name__}.")


def cross_entropy_backward(logits: Tensor, targets: Tensor) -> Tensor:
    """Return dlogits (B, V) of the mean of -log softmax(logits)[target].

    It is the probabilities minus 1 at the target, divided by B. Each row sums to 0: the target is pulled up as much as
    the others are pushed down.
    """
    dlogits = logits.softmax(1)  # (B, V)
    dlogits[torch.arange(len(targets)), targets] -= 1
    return dlogits / len(targets)


def linear_backward(layer: Linear, x: Tensor, dy: Tensor) -> tuple[Tensor, Own]:
    """Return dx and dweight, dbias of y = x @ weight + bias. Only these products have the right shapes."""
    dx = dy @ layer.weight.T  # (..., fan_out) @ (fan_out, fan_in) -> (..., fan_in)
    rows, drows = _rows(x), _rows(dy)  # (N, fan_in), (N, fan_out)
    own = {"weight": rows.T @ drows}  # (fan_in, N) @ (N, fan_out) -> (fan_in, fan_out)
    if layer.bias is not None:
        own["bias"] = drows.sum(0)  # (N, fan_out) -> (fan_out,): one bias was added to all rows
    return dx, own


def batch_norm_backward(layer: BatchNorm1d, x: Tensor, dy: Tensor) -> tuple[Tensor, Own]:
    """Return dx and dgamma, dbeta of y = gamma * x_hat + beta in training mode.

    x_hat = (x - mean) / std over N rows, and dx = gamma / std * (dy - mean(dy) - x_hat * mean(dy * x_hat)). The two
    means arise because each row affects the mean and std of its column (Ioffe & Szegedy 2015, section 3).
    """
    rows, drows = _rows(x), _rows(dy)  # (N, C) both
    centred = rows - rows.mean(0)  # (N, C)
    inv_std = (centred.square().mean(0) + layer.eps).rsqrt()  # (C,)
    x_hat = centred * inv_std  # (N, C)
    dgamma, dbeta = (drows * x_hat).sum(0), drows.sum(0)  # (C,) both
    n = len(rows)
    dx = layer.gamma * inv_std * (drows - dbeta / n - x_hat * dgamma / n)  # (N, C)
    return dx.view(x.shape), {"gamma": dgamma, "beta": dbeta}


def tanh_backward(y: Tensor, dy: Tensor) -> Tensor:
    """Return dx of y = tanh(x), any shape: the slope is 1 - y^2, almost 0 if y is near -1 or 1."""
    return dy * (1 - y.square())


def relu_backward(y: Tensor, dy: Tensor) -> Tensor:
    """Return dx of y = max(x, 0), any shape: it is 0 where x was cut off."""
    return dy * (y > 0)


def flatten_backward(x: Tensor, dy: Tensor) -> Tensor:
    """Return dx (B, T, C) of a join to (B, T / n, n C) or (B, n C): only the shape changes."""
    return dy.reshape(x.shape)


def embedding_backward(weight: Tensor, ids: Tensor, dy: Tensor) -> Tensor:
    """Return dweight (V, C): each row is the sum of the gradients (..., C) wherever it was used."""
    return torch.zeros_like(weight).index_add_(0, ids.reshape(-1), _rows(dy))


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])
