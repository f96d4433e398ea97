"""The optimizers against their twins in torch, and the clipping of gradients."""

import pytest
import torch
from torch import Tensor

from training.optim import SGD, AdamW, Optimizer, clip

SHAPES = [(7, 5), (5,), (5, 3), (3,)]


def gradients_of(parameters: list[Tensor]) -> list[Tensor]:
    """Gradients of a function with curvature, so that later steps depend on earlier ones."""
    loss = sum((p.sin() * (i + 1)).square().sum() for i, p in enumerate(parameters))
    return list(torch.autograd.grad(loss, parameters))


def fresh_parameters() -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in SHAPES]


def twin_of(kind: str, parameters: list[Tensor]) -> torch.optim.Optimizer:
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr=1.0)
    matrices, vectors = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.3}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.99), eps=1e-8)


def optimizer_of(kind: str, parameters: list[Tensor]) -> Optimizer:
    return SGD(parameters) if kind == "sgd" else AdamW(parameters, weight_decay=0.3)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_same_parameters_as_the_torch_twin(kind: str) -> None:
    """Thirty steps with a changing learning rate lead where torch.optim leads, weight decay on matrices only."""
    mine, theirs = fresh_parameters(), fresh_parameters()
    optimizer, twin = optimizer_of(kind, mine), twin_of(kind, theirs)
    for i in range(30):
        rate = 0.01 / (1 + i)
        optimizer.step(gradients_of(mine), rate)
        for group in twin.param_groups:
            group["lr"] = rate
        for parameter, gradient in zip(theirs, gradients_of(theirs), strict=True):
            parameter.grad = gradient
        twin.step()
    assert not torch.allclose(mine[0], fresh_parameters()[0], atol=1e-3)
    for parameter, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(parameter, other, rtol=1e-5, atol=1e-6)


def test_adamw_goes_on_from_its_state_to_the_bit() -> None:
    """An AdamW given another's state makes the same next steps, bit for bit."""
    first = fresh_parameters()
    optimizer = AdamW(first, weight_decay=0.3)
    for _ in range(5):
        optimizer.step(gradients_of(first), 0.01)
    second = [p.detach().clone().requires_grad_() for p in first]
    other = AdamW(second, weight_decay=0.3)
    other.load_state(optimizer.state())
    for parameters, rule in ((first, optimizer), (second, other)):
        for _ in range(5):
            rule.step(gradients_of(parameters), 0.01)
    assert all(torch.equal(p, q) for p, q in zip(first, second, strict=True))


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clip_is_that_of_torch(limit: float) -> None:
    """Gradients are shortened together as torch does it, and left alone below the limit."""
    mine, theirs = fresh_parameters(), fresh_parameters()
    gradients = gradients_of(mine)
    for parameter, gradient in zip(theirs, gradients_of(theirs), strict=True):
        parameter.grad = gradient
    clip(gradients, limit)
    torch.nn.utils.clip_grad_norm_(theirs, limit)
    for gradient, parameter in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)
