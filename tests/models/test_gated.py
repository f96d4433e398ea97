"""The gated stack against dilated convolutions of torch.nn, and the LSTM against torch.nn.LSTM."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.networks.gated import GatedStack
from models.networks.recurrent import LSTM, by_time


def lively_stack(n_blocks: int, C: int, H: int) -> GatedStack:
    """A stack whose running statistics are its own, in evaluation mode."""
    stack = GatedStack(n_blocks, C, H, 0.3, torch.Generator().manual_seed(1))
    for _ in range(5):
        stack.over_names(torch.randn(60, C, generator=torch.Generator().manual_seed(2)), torch.arange(60) % 6, 1)
    stack.train(False)
    return stack


def by_convolution(stack: GatedStack, name: Tensor) -> Tensor:
    """The slow twin: nn.functional.conv1d with dilations over one name (T, C) that its first row pads on the left."""
    n_blocks = len(stack.blocks)
    pad = 2**n_blocks
    x = torch.cat([name[:1].expand(pad, -1), name]).T[None]  # (1, C, pad + T)
    found = []
    for i, block in enumerate(stack.blocks):
        kernel = block.gate.weight.detach().view(2, name.shape[1], -1).permute(2, 1, 0)
        y = nn.functional.conv1d(nn.functional.pad(x, (2**i, 0), mode="replicate"), kernel, dilation=2**i)
        norm = block.norm
        y = nn.functional.batch_norm(y, norm.running_mean, norm.running_var, norm.gamma, norm.beta)
        a, b = y.chunk(2, dim=1)
        z = torch.tanh(a) * torch.sigmoid(b)
        found.append(z[0, :, pad:].T)
        if block.residual is not None:
            assert block.residual.bias is not None
            x = x + nn.functional.conv1d(z, block.residual.weight.T[:, :, None], block.residual.bias)
    return torch.cat(found, dim=1).detach()


@pytest.mark.parametrize("n_blocks", [1, 2, 4])
def test_the_gated_stack_equals_dilated_convolutions(n_blocks: int) -> None:
    """Over whole names laid end to end every position has what torch's causal dilated convolutions give for it."""
    stack = lively_stack(n_blocks, 5, 3)
    names = [torch.randn(T, 5, generator=torch.Generator().manual_seed(T)) for T in (1, 4, 19)]
    positions = torch.cat([torch.arange(len(name)) for name in names])
    ours = stack.over_names(torch.cat(names), positions, 1).detach()
    expected = torch.cat([by_convolution(stack, name) for name in names])
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)


def test_an_onlooker_sees_both_factors_of_every_gate() -> None:
    """Whoever looks on is told tanh and sigmoid of each block by name, and their product is what the block found."""
    stack, seen = lively_stack(2, 5, 3), {}
    found = stack.over_names(torch.randn(9, 5), torch.arange(9), 1, lambda name, output: seen.update({name: output}))
    assert list(seen) == ["0.tanh", "0.sigmoid", "1.tanh", "1.sigmoid"]
    product = torch.cat([seen[f"{i}.tanh"] * seen[f"{i}.sigmoid"] for i in range(2)], dim=1)
    torch.testing.assert_close(product, found)


def twin_of(layer: LSTM) -> nn.LSTM:
    """torch's own LSTM with the same weights."""
    E, H = layer.input.shape[0], layer.hidden.shape[0]
    twin = nn.LSTM(E, H, batch_first=True)
    with torch.no_grad():
        twin.weight_ih_l0.copy_(layer.input.T)
        twin.weight_hh_l0.copy_(layer.hidden.T)
        twin.bias_ih_l0.copy_(layer.bias)
        twin.bias_hh_l0.zero_()
    return twin


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.integers(1, 4), st.integers(1, 5))
def test_lstm_equals_its_twin(lengths: list[int], E: int, H: int) -> None:
    """Values and gradients of input and weights are those of nn.LSTM, name by name, for names of any lengths."""
    generator = torch.Generator().manual_seed(sum(lengths))
    layer = LSTM(E, H, generator)
    twin = twin_of(layer)
    names = [torch.randn(T, E, generator=generator) for T in lengths]
    x = torch.cat(names).requires_grad_()
    positions = torch.cat([torch.arange(T) for T in lengths])
    ours = layer.over_names(x, positions, 1)
    theirs = torch.cat([twin(name[None])[0][0] for name in x.split(lengths)])
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    weight = torch.randn(ours.shape, generator=generator)
    mine = torch.autograd.grad((ours * weight).sum(), [x, layer.input, layer.hidden, layer.bias])
    parameters = [x, twin.weight_ih_l0, twin.weight_hh_l0, twin.bias_ih_l0]
    dx, d_input, d_hidden, d_bias = torch.autograd.grad((theirs * weight).sum(), parameters)
    for gradient, other in zip(mine, [dx, d_input.T, d_hidden.T, d_bias], strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-5, rtol=1e-4)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9))
def test_rows_by_time_begin_with_those_that_go_on(lengths: list[int]) -> None:
    """The order holds every row once, position by position, and the k-th row of a position continues the k-th of the
    one before.
    """
    positions = torch.cat([torch.arange(T) for T in lengths])
    rows, active = by_time(positions)
    assert sorted(rows.tolist()) == list(range(len(positions)))
    steps = torch.split(rows, active)
    assert active == [sum(t < T for T in lengths) for t in range(max(lengths))]
    for before, after in pairwise(steps):
        assert (after - 1).tolist() == before[: len(after)].tolist()
