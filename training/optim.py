"""Optimizers and learning-rate schedules from scratch."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from training.config import TrainingConfig

WARM_UP = 0.1
FLOOR = 1e-3


def constant(progress: float) -> float:
    """Return 1 at all times."""
    return 1.0


def step_decay(progress: float) -> float:
    """Return 1 in the first half and 0.1 in the second, as in the lectures."""
    return 1.0 if progress < 0.5 else 0.1


def one_cycle(progress: float) -> float:
    """Rise linearly to 1 in the first tenth, then fall along a cosine (Smith & Topin 2018)."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, FLOOR)
    return max((1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2, FLOOR)


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "step": step_decay, "one-cycle": one_cycle}


class Optimizer(Protocol):
    """An update rule for a fixed sequence of parameters."""

    def step(self, gradients: Sequence[Tensor], learning_rate: float) -> None:
        """Update the parameters in place."""

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the state that determines later steps."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore `state`."""


class SGD:
    """Plain stochastic gradient descent: p -= learning_rate * gradient. It has no state."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], learning_rate: float) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.sub_(gradient, alpha=learning_rate)

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        pass


class AdamW:
    """Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019).

    Weight decay applies to matrices, including embeddings, and not to biases, gamma and beta.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ) -> None:
        self.parameters = list(parameters)
        self.weight_decay, self.betas, self.eps = weight_decay, betas, eps
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], learning_rate: float) -> None:
        self.steps += 1
        for parameter, gradient, mean, square in zip(self.parameters, gradients, self.means, self.squares, strict=True):
            if parameter.dim() > 1:
                parameter.mul_(1 - learning_rate * self.weight_decay)
            self._move(parameter, gradient, mean, square, learning_rate)

    def _move(self, parameter: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, learning_rate: float) -> None:
        beta1, beta2 = self.betas
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        # Bias correction: both averages start at zero.
        scale = square.div(1 - beta2**self.steps).sqrt_().add_(self.eps)
        parameter.addcdiv_(mean, scale, value=-learning_rate / (1 - beta1**self.steps))

    def state(self) -> dict[str, Tensor]:
        means = {f"mean.{i}": mean.clone() for i, mean in enumerate(self.means)}
        squares = {f"square.{i}": square.clone() for i, square in enumerate(self.squares)}
        return {**means, **squares, "steps": torch.tensor(self.steps)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        for i, (mean, square) in enumerate(zip(self.means, self.squares, strict=True)):
            mean.copy_(state[f"mean.{i}"])
            square.copy_(state[f"square.{i}"])
        self.steps = int(state["steps"])


def make_optimizer(config: TrainingConfig, parameters: Sequence[Tensor]) -> Optimizer:
    """Return the optimizer of the config."""
    return SGD(parameters) if config.optimizer == "sgd" else AdamW(parameters, config.weight_decay)


def clip(gradients: Sequence[Tensor], limit: float) -> None:
    """Scale `gradients` in place so that their total norm is at most `limit`."""
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    factor = (limit / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor)
