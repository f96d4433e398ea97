"""Each layer against its torch.nn twin: outputs, every gradient, running statistics, both modes, random shapes."""

import math
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.networks import BatchNorm1d, Embedding, FlattenConsecutive, Linear, ReLU, Sequential, Tanh
from models.networks.layers import GAINS, Dropout, Layer, LayerNorm, Sigmoid

few = settings(max_examples=40, deadline=None)
sizes = st.integers(1, 7)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradients(output: Tensor, inputs: list[Tensor], seed: int) -> list[Tensor]:
    """Gradients of a random projection of `output`: all entries count, each differently."""
    weights = torch.randn(output.shape, generator=seeded(seed))
    return list(torch.autograd.grad((output * weights).sum(), inputs))


def same(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 1e-5) -> None:
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=1e-4)


@few
@given(sizes, sizes, st.one_of(st.tuples(sizes), st.tuples(sizes, sizes)), st.booleans(), st.integers(0, 99))
def test_linear_equals_its_twin(fan_in: int, fan_out: int, shape: tuple[int, ...], bias: bool, seed: int) -> None:
    """Output and the gradients of input, weight and bias are those of nn.Linear, in any number of dimensions."""
    ours, twin = Linear(fan_in, fan_out, seeded(seed), bias=bias), nn.Linear(fan_in, fan_out, bias=bias)
    with torch.no_grad():
        twin.weight.copy_(ours.weight.T)
        if ours.bias is not None:
            ours.bias.copy_(torch.randn(fan_out, generator=seeded(seed + 1)))
            twin.bias.copy_(ours.bias)
    x = torch.randn(*shape, fan_in, generator=seeded(seed + 2), requires_grad=True)
    same([ours(x)], [twin(x)])
    mine = gradients(ours(x), [x, *ours.parameters()], seed)
    theirs = gradients(twin(x), [x, *twin.parameters()], seed)
    theirs[1] = theirs[1].T
    same(mine, theirs)


@few
@given(sizes, sizes, st.one_of(st.tuples(sizes), st.tuples(sizes, sizes)), st.integers(0, 99))
def test_embedding_equals_its_twin(vocab: int, width: int, shape: tuple[int, ...], seed: int) -> None:
    """Rows and the gradient of the table, repeated indices included, are those of nn.Embedding."""
    ours, twin = Embedding(vocab, width, seeded(seed)), nn.Embedding(vocab, width)
    with torch.no_grad():
        twin.weight.copy_(ours.weight)
    x = torch.randint(0, vocab, shape, generator=seeded(seed + 1))
    same([ours(x)], [twin(x)])
    same(gradients(ours(x), ours.parameters(), seed), gradients(twin(x), list(twin.parameters()), seed))


@few
@given(st.integers(2, 9), st.one_of(st.none(), st.integers(1, 5)), sizes, st.integers(0, 99))
def test_batch_norm_equals_its_twin(batch: int, length: int | None, channels: int, seed: int) -> None:
    """Over several batches: outputs, all gradients and running statistics are those of nn.BatchNorm1d, then in
    evaluation mode too.

    torch wants (N, C, L) where we have (B, T, C).
    """
    ours, twin = BatchNorm1d(channels), nn.BatchNorm1d(channels)
    with torch.no_grad():
        ours.gamma.copy_(torch.randn(channels, generator=seeded(seed)))
        ours.beta.copy_(torch.randn(channels, generator=seeded(seed + 1)))
        twin.weight.copy_(ours.gamma)
        twin.bias.copy_(ours.beta)

    def compare(step: int) -> None:
        shape = (batch, channels) if length is None else (batch, length, channels)
        x = (3 * torch.randn(shape, generator=seeded(seed + step)) + 1).requires_grad_()
        turned = twin(x) if length is None else twin(x.transpose(1, 2)).transpose(1, 2)
        mine = ours(x)
        same([mine], [turned], 1e-4)
        same(
            gradients(mine, [x, ours.gamma, ours.beta], seed),
            gradients(turned, [x, twin.weight, twin.bias], seed),
            1e-3,
        )
        same([ours.running_mean, ours.running_var], [b for b in twin.buffers() if b.is_floating_point()])
        assert ours.running_mean.shape == ours.running_var.shape == (channels,)

    for step in range(3):
        compare(step)
    ours.training = False
    twin.eval()
    before = ours.running_mean.clone()
    compare(7)
    assert (ours.running_mean == before).all()


def test_batch_norm_refuses_a_single_value() -> None:
    """One value a channel has no variance: in training mode that is an error, as in torch; in evaluation mode it is
    not.
    """
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
def test_activations_equal_their_twins(pair: tuple[Layer, nn.Module], shape: list[int]) -> None:
    """Values and gradients are those of the nn modules."""
    ours, twin = pair
    x = torch.randn(shape, generator=seeded(0), requires_grad=True)
    same([ours(x)], [twin(x)])
    same(gradients(ours(x), [x], 1), gradients(twin(x), [x], 1))


@few
@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 9), st.integers(0, 99))
def test_layer_norm_equals_its_twin(batch: int, length: int, channels: int, seed: int) -> None:
    """Values and gradients are those of nn.LayerNorm with the same gamma and beta, in both modes, in double precision:
    where a position's channels are nearly alike, single precision says little.
    """
    layer, twin = LayerNorm(channels), nn.LayerNorm(channels).double()
    layer.gamma, layer.beta = (
        torch.randn(channels, generator=seeded(seed + i), dtype=torch.float64).requires_grad_() for i in (1, 2)
    )
    with torch.no_grad():
        twin.weight.copy_(layer.gamma)
        twin.bias.copy_(layer.beta)
    x = torch.randn(batch, length, channels, generator=seeded(seed), dtype=torch.float64, requires_grad=True)
    for mode in (True, False):
        layer.train(mode)
        same([layer(x)], [twin(x)])
        same(gradients(layer(x), [x, layer.gamma, layer.beta], 1), gradients(twin(x), [x, twin.weight, twin.bias], 1))


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_dropout_leaves_out_its_share_and_keeps_the_mean(p: float) -> None:
    """The share of zeros is within four standard errors of p, the others are scaled so that the mean is 1, and the
    gradient is the mask itself.
    """
    layer, n = Dropout(p, seeded(3)), 200_003
    x = torch.ones(n, requires_grad=True)
    y = layer(x)
    share = round(256 * p) / 256
    assert float((y == 0).float().mean()) == pytest.approx(share, abs=4 * (share * (1 - share) / n) ** 0.5)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - share)])
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], y)


def test_dropout_is_silent_outside_of_training_and_repeats_itself() -> None:
    """In evaluation mode and for p = 0 nothing changes; the same generator state drops the same numbers, in no order
    that repeats from one call to the next.
    """
    x = torch.randn(5, 7, generator=seeded(1))
    layer = Dropout(0.5, seeded(2))
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    assert torch.equal(Dropout(0.5, seeded(2))(x), first)
    assert Dropout(0.0, seeded(2))(x) is x
    layer.train(False)
    assert layer(x) is x


def test_dropped_numbers_are_independent_of_their_neighbours() -> None:
    """Masks of one call have no correlation at lags up to 64, within five standard errors."""
    y = (Dropout(0.5, seeded(4))(torch.ones(100_000)) > 0).float() - 0.5
    for lag in range(1, 65):
        assert abs(float((y[lag:] * y[:-lag]).mean() / 0.25)) < 5 / 100_000**0.5


@few
@given(sizes, st.integers(1, 4), st.integers(1, 4), sizes)
def test_flatten_consecutive_joins_neighbours(batch: int, groups: int, n: int, channels: int) -> None:
    """Group g of the output is positions gn .. gn + n - 1 side by side (nn.Flatten of the slice); one group loses its
    axis.
    """
    x = torch.randn(batch, groups * n, channels, generator=seeded(0))
    joined = FlattenConsecutive(n)(x)
    flat = nn.Flatten()
    expected = torch.stack([flat(x[:, g * n : (g + 1) * n]) for g in range(groups)], dim=1)
    assert torch.equal(joined, expected[:, 0] if groups == 1 else expected)


@few
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 4), sizes)
def test_flatten_consecutive_over_names_looks_back(lengths: list[int], n: int, dilation: int, channels: int) -> None:
    """Over whole names, position t is joined with t - dilation, t - 2 dilation ... of its own name, never another's;
    before the name stands its position 0.
    """
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
def test_gains_are_kaimings(activation: Literal["linear", "tanh", "relu"]) -> None:
    """Gains are those of torch, and weights start with standard deviation gain / sqrt(fan_in)."""
    gain = GAINS[activation]
    assert gain == pytest.approx(nn.init.calculate_gain(activation))
    layer = Linear(400, 500, seeded(0), gain=gain)
    assert float(layer.weight.detach().std()) == pytest.approx(gain / math.sqrt(400), rel=0.01)
    assert abs(float(layer.weight.detach().mean())) < 0.001
    assert layer.bias is not None
    assert (layer.bias == 0).all()


def test_sequential_stores_and_takes_back() -> None:
    """A state loaded into another network makes it the same function; states that do not fit are refused by name."""

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


def test_a_moved_network_still_learns() -> None:
    """`to` moves every array, running statistics included; parameters stay leaves, and the same ones are learned.

    The "meta" device holds shapes alone, and every machine has it.
    """
    network = Sequential([("first", Linear(3, 4, seeded(1))), ("norm", BatchNorm1d(4))])
    names = list(network.state_dict())
    network.to("meta")
    assert list(network.state_dict()) == names
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"meta"}
    assert len(network.parameters()) == 4
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in network.parameters())


def test_modes_reach_every_layer() -> None:
    """`train` and `eval` set the mode of all layers of a network, and of no other network."""
    one, other = (Sequential([("first", BatchNorm1d(2)), ("second", BatchNorm1d(2))]) for _ in range(2))
    one.eval()
    assert [layer.training for layer in one.layers.values()] == [False, False]
    assert [layer.training for layer in other.layers.values()] == [True, True]
    one.train()
    assert [layer.training for layer in one.layers.values()] == [True, True]
