"""Layers from scratch on plain tensors, without `torch.nn`.

Shapes: B examples, T positions, C channels, N rows (all positions of a batch of concatenated names). A layer does not
keep its output, which would be a memory leak and a race in a server. `parameters` are trainable; `arrays` are all
stored tensors, including running statistics.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

# Factors that undo the effect of each activation on the standard deviation of unit-normal inputs (He et al. 2015;
# the values are those of torch.nn.init.calculate_gain).
GAINS = {"linear": 1.0, "tanh": 5 / 3, "relu": 2**0.5}

# A callback that receives the name and output of each layer during the forward pass.
Onlooker = Callable[[str, Tensor], None]


def within(name: str, see: Onlooker) -> Onlooker:
    """Return a callback for the parts of the layer `name` that passes their full names to `see`."""
    return lambda part, output: see(f"{name}.{part}", output)


class Layer:
    """A function of one tensor, with its own arrays or made of `parts`.

    `training` matters to layers with two modes. `reach`: the factor by which the layer increases the distance between
    neighbours.
    """

    training = True
    reach = 1

    def __call__(self, x: Tensor) -> Tensor:
        """Return the layer's output for `x`."""
        raise NotImplementedError

    def over_names(
        self,
        x: Tensor,
        positions: Tensor,
        dilation: int,
        see: Onlooker | None = None,
        styles: Tensor | None = None,
    ) -> Tensor:
        """Return the output for rows (N, C) of concatenated names.

        `positions` (N,) counts from 0 within each name; `dilation` is the distance between neighbours. `styles` (N, S)
        has 1 where a row's name has a value of a style, else 0; None is no style at all. Layers that use one position
        alone need none of them. `see` is called with intermediate results of compound layers.
        """
        return self(x)

    def parts(self) -> Mapping[str, "Layer"]:
        """Return the layers that this one consists of, by name."""
        return {}

    def arrays(self) -> dict[str, Tensor]:
        """Return all stored tensors by name."""
        return {f"{name}.{key}": a for name, part in self.parts().items() for key, a in part.arrays().items()}

    def folded(self) -> dict[str, Tensor]:
        """Return the tensors of the plain layer that does the same."""
        return self.arrays()

    def parameters(self) -> list[Tensor]:
        """Return the trainable tensors."""
        return [array for array in self.arrays().values() if array.requires_grad]

    def train(self, mode: bool = True) -> None:
        """Switch to training mode, or to evaluation mode with `mode=False`, including parts."""
        self.training = mode
        for part in self.parts().values():
            part.train(mode)

    def to(self, device: torch.device | str) -> None:
        """Move every tensor to `device`, in place; parameters stay trainable leaves."""
        if parts := self.parts():
            for part in parts.values():
                part.to(device)
            return
        for key, array in self.arrays().items():
            setattr(self, key, array.detach().to(device).requires_grad_(array.requires_grad))


class Embedding(Layer):
    """A row of `n_embd` numbers for each index: (...) int64 -> (..., n_embd).

    It starts unit normal, times `scale`.
    """

    def __init__(self, vocab_size: int, n_embd: int, generator: torch.Generator, scale: float = 1.0) -> None:
        self.weight = (torch.randn(vocab_size, n_embd, generator=generator) * scale).requires_grad_()

    def __call__(self, x: Tensor) -> Tensor:
        rows = torch.index_select(self.weight, 0, x.reshape(-1))
        return rows.view(*x.shape, self.weight.shape[1])

    def arrays(self) -> dict[str, Tensor]:
        return {"weight": self.weight}


class Linear(Layer):
    """x @ weight + bias: (..., fan_in) -> (..., fan_out).

    Weights start normal with standard deviation gain / sqrt(fan_in) (Kaiming, fan-in mode), the bias at zero.
    """

    def __init__(
        self, fan_in: int, fan_out: int, generator: torch.Generator, *, gain: float = 1.0, bias: bool = True
    ) -> None:
        weight = torch.randn(fan_in, fan_out, generator=generator) * (gain / fan_in**0.5)
        self.weight = weight.requires_grad_()
        self.bias = torch.zeros(fan_out, requires_grad=True) if bias else None

    def __call__(self, x: Tensor) -> Tensor:
        products: Tensor = x @ self.weight
        return products if self.bias is None else products + self.bias

    def arrays(self) -> dict[str, Tensor]:
        return {"weight": self.weight} if self.bias is None else {"weight": self.weight, "bias": self.bias}


class SharedEmbedding(Layer):
    """An embedding in which characters with the same letters share what is learned: (...) int64 -> (..., n_embd).

    The row of an index is one of its own, zero at the start, plus those of its pieces (V, P), as in vectors of subwords
    (Bojanowski et al. 2017).
    """

    def __init__(self, pieces: Tensor, n_embd: int, generator: torch.Generator) -> None:
        self.pieces, self.shared = pieces, Embedding(pieces.shape[1], n_embd, generator).weight
        self.weight = torch.zeros(len(pieces), n_embd, requires_grad=True)

    def __call__(self, x: Tensor) -> Tensor:
        rows = torch.index_select(self.folded()["weight"], 0, x.reshape(-1))
        return rows.view(*x.shape, rows.shape[1])

    def arrays(self) -> dict[str, Tensor]:
        return {"weight": self.weight, "shared": self.shared}

    def folded(self) -> dict[str, Tensor]:
        return {"weight": self.weight + self.pieces @ self.shared}

    def to(self, device: torch.device | str) -> None:
        super().to(device)
        self.pieces = self.pieces.to(device)


class SharedLinear(Layer):
    """A Linear to the logits of such characters: (..., fan_in) -> (..., V)."""

    def __init__(self, fan_in: int, pieces: Tensor, generator: torch.Generator, *, gain: float = 1.0) -> None:
        like = Linear(fan_in, pieces.shape[1], generator, gain=gain, bias=False)
        self.pieces, self.shared = pieces, like.weight
        self.weight = torch.zeros(fan_in, len(pieces), requires_grad=True)
        self.bias = torch.zeros(len(pieces), requires_grad=True)

    def __call__(self, x: Tensor) -> Tensor:
        products: Tensor = x @ self.folded()["weight"]
        return products + self.bias

    def arrays(self) -> dict[str, Tensor]:
        return {"weight": self.weight, "shared": self.shared, "bias": self.bias}

    def folded(self) -> dict[str, Tensor]:
        return {"weight": self.weight + self.shared @ self.pieces.T, "bias": self.bias}

    def to(self, device: torch.device | str) -> None:
        super().to(device)
        self.pieces = self.pieces.to(device)


class BatchNorm1d(Layer):
    """Normalise each channel over all other axes, then gamma * x + beta: (B, C) or (B, T, C).

    As in torch (Ioffe & Szegedy 2015), the biased variance normalises, and the unbiased one updates `running_var`;
    running = (1 - momentum) * running + momentum * batch. In evaluation mode the running statistics normalise. Raises
    `ValueError` in training mode for one value per channel, which has no variance.
    """

    def __init__(self, n_channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.eps, self.momentum = eps, momentum
        self.gamma = torch.ones(n_channels, requires_grad=True)
        self.beta = torch.zeros(n_channels, requires_grad=True)
        self.running_mean = torch.zeros(n_channels)
        self.running_var = torch.ones(n_channels)

    def __call__(self, x: Tensor) -> Tensor:
        if not self.training:
            scale = self.gamma * (self.running_var + self.eps).rsqrt()
            return x * scale + (self.beta - self.running_mean * scale)
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) < 2:
            raise ValueError("BatchNorm1d needs more than one value a channel in training mode; use a larger batch.")
        mean = rows.mean(0)
        centred = rows - mean
        variance = centred.square().mean(0)
        self._remember(mean, variance, len(rows))
        return (centred * (self.gamma * (variance + self.eps).rsqrt()) + self.beta).view(x.shape)

    def _remember(self, mean: Tensor, variance: Tensor, n: int) -> None:
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)

    def arrays(self) -> dict[str, Tensor]:
        names = ("gamma", "beta", "running_mean", "running_var")
        return {name: getattr(self, name) for name in names}


class Tanh(Layer):
    """tanh(x), any shape."""

    def __call__(self, x: Tensor) -> Tensor:
        return x.tanh()


class ReLU(Layer):
    """max(x, 0), any shape."""

    def __call__(self, x: Tensor) -> Tensor:
        return x.relu()


class Sigmoid(Layer):
    """1 / (1 + e^-x), any shape."""

    def __call__(self, x: Tensor) -> Tensor:
        return x.sigmoid()


class LayerNorm(Layer):
    """Normalise the channels of each position, then gamma * x + beta: (..., C) (Ba et al. 2016).

    The biased variance normalises in both modes.
    """

    def __init__(self, n_channels: int, eps: float = 1e-5) -> None:
        self.eps = eps
        self.gamma = torch.ones(n_channels, requires_grad=True)
        self.beta = torch.zeros(n_channels, requires_grad=True)

    def __call__(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.square().mean(-1, keepdim=True)
        return centred * (variance + self.eps).rsqrt() * self.gamma + self.beta

    def arrays(self) -> dict[str, Tensor]:
        return {"gamma": self.gamma, "beta": self.beta}


class Dropout(Layer):
    """Zeroes numbers with probability `p` in training mode, and divides the others by 1 - p.

    Any shape.

    This keeps the mean (Srivastava et al. 2014). Evaluation mode changes nothing. `generator` draws on the CPU, so that
    every device drops the same numbers. One random byte for each number is many times faster than a random float, so
    `p` is rounded to 1/256.
    """

    def __init__(self, p: float, generator: torch.Generator) -> None:
        self.dropped, self.generator = round(256 * p), generator

    def __call__(self, x: Tensor) -> Tensor:
        if not self.training or not self.dropped:
            return x
        words = torch.empty(-(-x.numel() // 7), dtype=torch.int64).random_(generator=self.generator)
        # The highest of a word's eight bytes has no sign bit to give.
        random = words.view(torch.uint8).view(-1, 8)[:, :7].reshape(-1)[: x.numel()].view(x.shape)
        kept = (random >= self.dropped).to(x.device)
        return x * kept * (256 / (256 - self.dropped))


class StyleBias(Layer):
    """Add a vector for each value of a style that a name has: (N, width) + styles (N, S) @ weight -> (N, width).

    The vectors start at zero, and without styles the layer changes nothing (a conditional bias, as the global
    conditioning of van den Oord et al. 2016).
    """

    def __init__(self, n_styles: int, width: int) -> None:
        self.weight = torch.zeros(n_styles, width, requires_grad=True)

    def __call__(self, x: Tensor) -> Tensor:
        return x

    def over_names(
        self,
        x: Tensor,
        positions: Tensor,
        dilation: int,
        see: Onlooker | None = None,
        styles: Tensor | None = None,
    ) -> Tensor:
        return x if styles is None else torch.addmm(x, styles, self.weight)

    def arrays(self) -> dict[str, Tensor]:
        return {"weight": self.weight}


class FlattenConsecutive(Layer):
    """Join `n` neighbouring positions into one: (B, T, C) -> (B, T / n, n C), or (B, n C) if one is left.

    `over_names` does the same over whole names: it joins each position with earlier ones that are `dilation` apart,
    like a causal dilated convolution (van den Oord et al. 2016), and computes no position twice.
    """

    def __init__(self, n: int) -> None:
        self.n = self.reach = n

    def __call__(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        joined = x.view(B, T // self.n, C * self.n)
        return joined.squeeze(1)

    def over_names(
        self,
        x: Tensor,
        positions: Tensor,
        dilation: int,
        see: Onlooker | None = None,
        styles: Tensor | None = None,
    ) -> Tensor:
        """Join rows (N, C) of concatenated names into (N, n C), oldest position first.

        `positions` (N,) counts from 0 within each name. Everything before a name is end tokens, and position 0 sees
        nothing else, so the look-back stops at position 0.
        """
        if self.n == 1:
            return x
        rows = torch.arange(len(x), device=x.device)
        back = [rows - positions.clamp(max=j * dilation) for j in range(self.n - 1, 0, -1)]
        return torch.cat([*(torch.index_select(x, 0, row) for row in back), x], dim=1)


class Sequential:
    """Named layers in sequence. It is not itself a layer, and nothing nests deeper."""

    def __init__(self, named: Iterable[tuple[str, Layer]]) -> None:
        self.layers = dict(named)

    def __call__(self, x: Tensor) -> Tensor:
        for layer in self.layers.values():
            x = layer(x)
        return x

    def over_names(
        self, ids: Tensor, positions: Tensor, see: Onlooker | None = None, styles: Tensor | None = None
    ) -> Tensor:
        """Return the output for every position of whole names: ids (N,), positions (N,), styles (N, S) -> (N, C).

        `see` is called with the name and output of each layer.
        """
        x, dilation = ids, 1
        for name, layer in self.layers.items():
            x = layer.over_names(x, positions, dilation, see and within(name, see), styles)
            dilation *= layer.reach
            if see is not None:
                see(name, x)
        return x

    def train(self, mode: bool = True) -> None:
        """Switch all layers to training mode, or to evaluation mode with `mode=False`."""
        for layer in self.layers.values():
            layer.train(mode)

    def eval(self) -> None:
        """Switch all layers to evaluation mode."""
        self.train(False)

    def parameters(self) -> list[Tensor]:
        """Return the trainable tensors of all layers, in order."""
        return [parameter for layer in self.layers.values() for parameter in layer.parameters()]

    def state_dict(self) -> dict[str, Tensor]:
        """Return all stored tensors, named "layer.array"; they share memory with the layers."""
        return {f"{name}.{key}": a.detach() for name, layer in self.layers.items() for key, a in layer.arrays().items()}

    def folded(self) -> dict[str, Tensor]:
        """Return the tensors of the plain layers that do the same, named as in `state_dict`."""
        return {f"{name}.{key}": a.detach() for name, layer in self.layers.items() for key, a in layer.folded().items()}

    def load_state_dict(self, state: Mapping[str, Tensor | np.ndarray]) -> None:
        """Copy `state` into the layers. Raises `ValueError` that names missing, foreign or misshapen arrays."""
        mine = self.state_dict()
        if odd := sorted(set(mine) ^ set(state)):
            raise ValueError(f"The arrays do not fit this network: {', '.join(odd)} missing or unknown.")
        for name, tensor in mine.items():
            given = torch.as_tensor(state[name])
            if given.shape != tensor.shape:
                raise ValueError(f"{name} has shape {tuple(given.shape)}, this network wants {tuple(tensor.shape)}.")
            tensor.copy_(given)

    def to(self, device: torch.device | str) -> None:
        """Move every tensor to `device`, in place; parameters stay trainable leaves."""
        for layer in self.layers.values():
            layer.to(device)
