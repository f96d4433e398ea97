"""Each layer against its torch.nn counterpart: outputs, gradients, running statistics, both modes, random shapes."""

import math
from itertools import pairwise
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.networks import BatchNorm1d, Embedding, FlattenConsecutive, Linear, ReLU, Sequential, Tanh
from models.networks.gated import GatedStack
from models.networks.layers import GAINS, Dropout, Layer, LayerNorm, Sigmoid
from models.networks.recurrent import LSTM, by_time

few = settings(max_examples=40)
sizes = st.integers(1, 7)


def seeded(seed: int) -> torch.Generator:
    """A random generator."""
    return torch.Generator().manual_seed(seed)


def gradients(output: Tensor, inputs: list[Tensor], seed: int) -> list[Tensor]:
    """Gradients of a random projection of `output`: all entries count, each differently."""
    weights = torch.randn(output.shape, generator=seeded(seed))
    return list(torch.autograd.grad((output * weights).sum(), inputs, retain_graph=True))


def same(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 1e-5) -> None:
    """Tensors are close pair by pair."""
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=1e-4)


def compare(ours: Tensor, theirs: Tensor, inputs: list[Tensor], seed: int, *tolerances: float) -> None:
    """Outputs and all gradients are close."""
    same([ours], [theirs], *tolerances[:1])
    same(gradients(ours, inputs, seed), gradients(theirs, inputs, seed), *tolerances[1:])


@few
@given(sizes, sizes, st.one_of(st.tuples(sizes), st.tuples(sizes, sizes)), st.booleans(), st.integers(0, 99))
def test_linear_equals_torch(fan_in: int, fan_out: int, shape: tuple[int, ...], bias: bool, seed: int) -> None:
    layer = Linear(fan_in, fan_out, seeded(seed), bias=bias)
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(torch.randn(fan_out, generator=seeded(seed + 1)))
    x = torch.randn(*shape, fan_in, generator=seeded(seed + 2), requires_grad=True)
    expected = nn.functional.linear(x, layer.weight.T, layer.bias)
    assert len(layer.parameters()) == 1 + bias
    compare(layer(x), expected, [x, *layer.parameters()], seed)


@few
@given(sizes, sizes, st.one_of(st.tuples(sizes), st.tuples(sizes, sizes)), st.integers(0, 99))
def test_embedding_equals_torch(vocab: int, width: int, shape: tuple[int, ...], seed: int) -> None:
    layer = Embedding(vocab, width, seeded(seed))
    x = torch.randint(0, vocab, shape, generator=seeded(seed + 1))
    compare(layer(x), nn.functional.embedding(x, layer.weight), layer.parameters(), seed)


@few
@given(st.integers(2, 9), st.one_of(st.none(), st.integers(1, 5)), sizes, st.integers(0, 99))
def test_batch_norm_equals_torch_in_both_modes(batch: int, length: int | None, channels: int, seed: int) -> None:
    """Three batches in training mode, one in evaluation mode; torch wants (N, C, L) for (B, T, C)."""
    layer, mean, var = BatchNorm1d(channels), torch.zeros(channels), torch.ones(channels)
    with torch.no_grad():
        layer.gamma.copy_(torch.randn(channels, generator=seeded(seed)))
        layer.beta.copy_(torch.randn(channels, generator=seeded(seed + 1)))
    shape = (batch, channels) if length is None else (batch, length, channels)
    for step, training in enumerate((True, True, True, False)):
        layer.training = training
        before = layer.running_mean.clone()
        x = (3 * torch.randn(shape, generator=seeded(seed + step)) + 1).requires_grad_()
        theirs = nn.functional.batch_norm(x.movedim(-1, 1), mean, var, layer.gamma, layer.beta, training)
        compare(layer(x), theirs.movedim(1, -1), [x, layer.gamma, layer.beta], seed, 1e-4, 1e-3)
        same([layer.running_mean, layer.running_var], [mean, var])
        assert layer.running_mean.shape == layer.running_var.shape == (channels,)
        assert training or torch.equal(layer.running_mean, before)


def test_batch_norm_refuses_one_value_in_training_mode_only() -> None:
    layer = BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than one value"):
        layer(torch.zeros(1, 3))
    layer.training = False
    assert layer(torch.zeros(1, 3)).shape == (1, 3)


@few
@given(
    st.sampled_from([(Tanh(), nn.Tanh()), (ReLU(), nn.ReLU()), (Sigmoid(), nn.Sigmoid())]),
    st.lists(sizes, min_size=1, max_size=3),
)
def test_activations_equal_torch(pair: tuple[Layer, nn.Module], shape: list[int]) -> None:
    ours, theirs = pair
    x = torch.randn(shape, generator=seeded(0), requires_grad=True)
    compare(ours(x), theirs(x), [x], 1)


@few
@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 9), st.integers(0, 99))
def test_layer_norm_equals_torch_in_both_modes(batch: int, length: int, channels: int, seed: int) -> None:
    """In double precision: single precision says little about channels that are nearly alike."""
    layer = LayerNorm(channels)
    layer.gamma, layer.beta = (
        torch.randn(channels, generator=seeded(seed + i), dtype=torch.float64).requires_grad_() for i in (1, 2)
    )
    x = torch.randn(batch, length, channels, generator=seeded(seed), dtype=torch.float64, requires_grad=True)
    expected = nn.functional.layer_norm(x, (channels,), layer.gamma, layer.beta)
    for mode in (True, False):
        layer.train(mode)
        compare(layer(x), expected, [x, layer.gamma, layer.beta], 1)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(p: float) -> None:
    layer, n = Dropout(p, seeded(3)), 200_003
    x = torch.ones(n, requires_grad=True)
    y = layer(x)
    share = round(256 * p) / 256
    assert float((y == 0).float().mean()) == pytest.approx(share, abs=4 * (share * (1 - share) / n) ** 0.5)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - share)])
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], y)


def test_dropout_is_reproducible_from_its_generator() -> None:
    x = torch.randn(5, 7, generator=seeded(1))
    layer = Dropout(0.5, seeded(2))
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    assert torch.equal(Dropout(0.5, seeded(2))(x), first)


def test_dropout_of_zero_or_in_evaluation_mode_is_the_identity() -> None:
    x = torch.randn(5, 7, generator=seeded(1))
    assert Dropout(0.0, seeded(2))(x) is x
    layer = Dropout(0.5, seeded(2))
    layer.train(False)
    assert layer(x) is x


def test_dropout_mask_is_uncorrelated_at_lags_up_to_64() -> None:
    y = (Dropout(0.5, seeded(4))(torch.ones(100_000)) > 0).float() - 0.5
    for lag in range(1, 65):
        assert abs(float((y[lag:] * y[:-lag]).mean() / 0.25)) < 5 / 100_000**0.5


@few
@given(sizes, st.integers(1, 4), st.integers(1, 4), sizes)
def test_flatten_consecutive_joins_neighbours(batch: int, groups: int, n: int, channels: int) -> None:
    """Group g is nn.Flatten of positions gn .. gn + n - 1; a single group loses its axis."""
    x = torch.randn(batch, groups * n, channels, generator=seeded(0))
    joined = FlattenConsecutive(n)(x)
    flat = nn.Flatten()
    expected = torch.stack([flat(x[:, g * n : (g + 1) * n]) for g in range(groups)], dim=1)
    assert torch.equal(joined, expected[:, 0] if groups == 1 else expected)


@few
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 4), sizes)
def test_flatten_consecutive_over_names_looks_back(lengths: list[int], n: int, dilation: int, channels: int) -> None:
    """Position t is joined with t - dilation, t - 2 dilation ... of its own name, padded with its position 0."""
    names = [torch.randn(length, channels, generator=seeded(length + i)) for i, length in enumerate(lengths)]
    positions = torch.cat([torch.arange(length) for length in lengths])
    joined = FlattenConsecutive(n).over_names(torch.cat(names), positions, dilation)
    expected = [
        torch.cat([name[max(0, t - j * dilation)] for j in reversed(range(n))])
        for name in names
        for t in range(len(name))
    ]
    assert torch.equal(joined, torch.stack(expected))


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu"])
def test_weights_start_with_kaiming_standard_deviation(activation: Literal["linear", "tanh", "relu"]) -> None:
    """gain / sqrt(fan_in), with the gains of torch."""
    gain = GAINS[activation]
    assert gain == pytest.approx(nn.init.calculate_gain(activation))
    layer = Linear(400, 500, seeded(0), gain=gain)
    assert float(layer.weight.detach().std()) == pytest.approx(gain / math.sqrt(400), rel=0.01)
    assert abs(float(layer.weight.detach().mean())) < 0.001
    assert layer.bias is not None
    assert (layer.bias == 0).all()


def test_loaded_state_gives_the_same_function_and_must_fit() -> None:
    def build(seed: int) -> Sequential:
        return Sequential([("first", Linear(3, 4, seeded(seed))), ("norm", BatchNorm1d(4)), ("act", Tanh())])

    one, other = build(1), build(2)
    x = torch.randn(5, 3, generator=seeded(3))
    one(x)
    other.load_state_dict({name: tensor.clone() for name, tensor in one.state_dict().items()})
    for network in (one, other):
        network.eval()
    assert torch.equal(one(x), other(x))
    with pytest.raises(ValueError, match=r"norm\.gamma"):
        other.load_state_dict({k: v for k, v in one.state_dict().items() if k != "norm.gamma"})
    with pytest.raises(ValueError, match="shape"):
        other.load_state_dict({**one.state_dict(), "norm.gamma": torch.ones(5)})


def test_to_moves_every_array_and_keeps_parameters_learnable() -> None:
    """The "meta" device holds shapes alone, and every machine has it."""
    network = Sequential([("first", Linear(3, 4, seeded(1))), ("norm", BatchNorm1d(4))])
    names = list(network.state_dict())
    network.to("meta")
    assert list(network.state_dict()) == names
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"meta"}
    assert len(network.parameters()) == 4
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in network.parameters())


def test_train_and_eval_reach_every_layer_of_one_network() -> None:
    one, other = (Sequential([("first", BatchNorm1d(2)), ("second", BatchNorm1d(2))]) for _ in range(2))
    one.eval()
    assert [layer.training for layer in one.layers.values()] == [False, False]
    assert [layer.training for layer in other.layers.values()] == [True, True]
    one.train()
    assert [layer.training for layer in one.layers.values()] == [True, True]


def lively_stack(n_blocks: int, C: int, H: int) -> GatedStack:
    """A stack whose running statistics are its own, in evaluation mode."""
    stack = GatedStack(n_blocks, C, H, 0.3, seeded(1))
    for _ in range(5):
        stack.over_names(torch.randn(60, C, generator=seeded(2)), torch.arange(60) % 6, 1)
    stack.train(False)
    return stack


def by_convolution(stack: GatedStack, name: Tensor) -> Tensor:
    """The stack by nn.functional.conv1d with dilations over one name (T, C), padded on the left with its first row."""
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
def test_gated_stack_equals_causal_dilated_convolutions(n_blocks: int) -> None:
    stack = lively_stack(n_blocks, 5, 3)
    names = [torch.randn(T, 5, generator=seeded(T)) for T in (1, 4, 19)]
    positions = torch.cat([torch.arange(len(name)) for name in names])
    ours = stack.over_names(torch.cat(names), positions, 1).detach()
    expected = torch.cat([by_convolution(stack, name) for name in names])
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-5)


def test_gated_stack_hook_gets_both_factors_of_every_gate() -> None:
    stack, seen = lively_stack(2, 5, 3), {}
    found = stack.over_names(torch.randn(9, 5), torch.arange(9), 1, lambda name, output: seen.update({name: output}))
    assert list(seen) == ["0.tanh", "0.sigmoid", "1.tanh", "1.sigmoid"]
    product = torch.cat([seen[f"{i}.tanh"] * seen[f"{i}.sigmoid"] for i in range(2)], dim=1)
    torch.testing.assert_close(product, found)


@few
@given(st.lists(st.integers(1, 9), min_size=1, max_size=7), st.integers(1, 4), st.integers(1, 5))
def test_lstm_equals_torch_name_by_name(lengths: list[int], E: int, H: int) -> None:
    generator = seeded(sum(lengths))
    layer, twin = LSTM(E, H, generator), nn.LSTM(E, H, batch_first=True)
    with torch.no_grad():
        twin.weight_ih_l0.copy_(layer.input.T)
        twin.weight_hh_l0.copy_(layer.hidden.T)
        twin.bias_ih_l0.copy_(layer.bias)
        twin.bias_hh_l0.zero_()
    names = [torch.randn(T, E, generator=generator) for T in lengths]
    x = torch.cat(names).requires_grad_()
    positions = torch.cat([torch.arange(T) for T in lengths])
    ours = layer.over_names(x, positions, 1)
    theirs = torch.cat([twin(name[None])[0][0] for name in x.split(lengths)])
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    mine = gradients(ours, [x, layer.input, layer.hidden, layer.bias], 1)
    dx, d_input, d_hidden, d_bias = gradients(theirs, [x, twin.weight_ih_l0, twin.weight_hh_l0, twin.bias_ih_l0], 1)
    same(mine, [dx, d_input.T, d_hidden.T, d_bias])


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9))
def test_by_time_orders_rows_by_position_then_by_name(lengths: list[int]) -> None:
    positions = torch.cat([torch.arange(T) for T in lengths])
    rows, active = by_time(positions)
    assert sorted(rows.tolist()) == list(range(len(positions)))
    steps = torch.split(rows, active)
    assert active == [sum(t < T for T in lengths) for t in range(max(lengths))]
    for before, after in pairwise(steps):
        assert (after - 1).tolist() == before[: len(after)].tolist()
