"""The long way through cross-entropy and batch norm: forward as torch does it, backward as measured."""

import pytest
import torch

from models.networks.layers import BatchNorm1d
from training.backprop import batch_norm_backward, cross_entropy_backward
from training.backprop_steps import (
    batch_norm_long_backward,
    batch_norm_steps,
    cross_entropy_long_backward,
    cross_entropy_steps,
)

B, V, C = 6, 5, 4


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_the_steps_of_the_cross_entropy_end_at_torchs(generator: torch.Generator) -> None:
    """The last step is torch's cross-entropy, for logits of any size: exp never overflows."""
    targets = torch.randint(0, V, (B,), generator=generator)
    for size in (1.0, 1000.0):
        logits = size * torch.randn(B, V, generator=generator, dtype=torch.float64)
        steps = cross_entropy_steps(logits, targets)
        assert bool(steps["exps"].isfinite().all())
        if size == 1.0:
            expected = torch.nn.functional.cross_entropy(logits, targets)
            assert torch.allclose(steps["loss"], expected, rtol=1e-12)


def test_every_step_of_the_cross_entropy_is_autograds(generator: torch.Generator) -> None:
    """Each step's gradient is autograd's over the same steps, and the last is the one expression's."""
    logits = torch.randn(B, V, generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.randint(0, V, (B,), generator=generator)
    steps = cross_entropy_steps(logits, targets)
    loss = steps.pop("loss")
    inputs = {**steps, "logits": logits}
    expected = torch.autograd.grad(loss, list(inputs.values()))
    found = cross_entropy_long_backward(steps, logits.detach(), targets)
    assert list(found) == list(inputs)
    for name, gradient in zip(inputs, expected, strict=True):
        assert torch.allclose(found[name], gradient, rtol=1e-12, atol=1e-15), name
    assert torch.allclose(found["logits"], cross_entropy_backward(logits.detach(), targets), rtol=1e-10, atol=1e-15)
    assert torch.allclose(found["maxima"], torch.zeros(B, 1, dtype=torch.float64), atol=1e-15)


def test_every_step_of_the_batch_norm_is_autograds(generator: torch.Generator) -> None:
    """y is torch's batch norm; each step's gradient is that of torch's own over x, gamma and beta, and autograd's."""
    layer = BatchNorm1d(C)
    layer.gamma, layer.beta = (
        torch.randn(C, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2)
    )
    x = (3 + 2 * torch.randn(B, C, generator=generator, dtype=torch.float64)).requires_grad_()
    dy = torch.randn(B, C, generator=generator, dtype=torch.float64)
    torchs = torch.nn.functional.batch_norm(x, None, None, layer.gamma, layer.beta, training=True, eps=layer.eps)
    by_torch = torch.autograd.grad(torchs, [x, layer.gamma, layer.beta], dy)
    steps = batch_norm_steps(layer, x)
    y = steps.pop("y")
    assert torch.allclose(y, torchs, rtol=1e-12, atol=1e-14)
    expected = dict(zip(steps, torch.autograd.grad(y, list(steps.values()), dy), strict=True))
    expected |= dict(zip(("x", "gamma", "beta"), by_torch, strict=True))
    found = batch_norm_long_backward(steps, layer, dy)
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-10, atol=1e-13), name
    dx, own = batch_norm_backward(layer, x.detach(), dy)
    for name, gradient in (("x", dx), ("gamma", own["gamma"]), ("beta", own["beta"])):
        assert torch.allclose(gradient, found[name], rtol=1e-10, atol=1e-13), name
