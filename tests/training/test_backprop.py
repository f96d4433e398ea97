"""The backward pass by hand against central differences, autograd and PyTorch, and its command `backprop-check`."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models import ModelConfig
from models.networks import Network, build_model
from models.networks import layers as nn
from tests.training.conftest import PNG, figure_in, invoke, png_of, run_cli
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Batch, Examples, NameBatches
from training.lessons import backprop
from training.lessons.backprop import (
    backward,
    batch_norm_backward,
    batch_norm_long_backward,
    batch_norm_steps,
    cross_entropy_backward,
    cross_entropy_long_backward,
    cross_entropy_steps,
    forward,
    layer_backward,
)
from training.lessons.backprop_check import (
    HandTrainer,
    StepPair,
    backprop_figure,
    backprop_plot,
    check,
    named_parameters,
    rows,
    set_precision,
    start,
    train_both,
)
from training.trainer import Trainer

Trainers = tuple[HandTrainer, Trainer]
B, V, C = 6, 7, 4
MLP = ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=9)
NETWORKS = {
    "mlp": MLP,
    "deep relu": MLP.model_copy(update={"n_layers": 3, "activation": "relu"}),
    "wavenet": ModelConfig(architecture="wavenet", block_size=8, n_embd=3, n_hidden=5),
}
LAYERS: dict[str, tuple[Callable[[torch.Generator], nn.Layer], tuple[int, ...]]] = {
    "linear": (lambda g: nn.Linear(4, 3, g), (6, 4)),
    "linear without bias": (lambda g: nn.Linear(4, 3, g, bias=False), (6, 4)),
    "linear over positions": (lambda g: nn.Linear(4, 3, g), (2, 3, 4)),
    "batch norm": (lambda g: nn.BatchNorm1d(4), (6, 4)),
    "batch norm over positions": (lambda g: nn.BatchNorm1d(4), (2, 3, 4)),
    "tanh": (lambda g: nn.Tanh(), (5, 4)),
    "relu": (lambda g: nn.ReLU(), (5, 4)),
    "join of all": (lambda g: nn.FlattenConsecutive(4), (3, 4, 2)),
    "join of pairs": (lambda g: nn.FlattenConsecutive(2), (3, 4, 2)),
}


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def random(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def random_targets(generator: torch.Generator, size: int) -> Tensor:
    return torch.randint(0, V, (size,), generator=generator)


def central_differences(function: Callable[[], Tensor], x: Tensor, h: float = 1e-6) -> Tensor:
    """Central differences of a number with respect to each element of `x`, which the function reads."""
    slopes = torch.zeros_like(x)
    flat, found = x.detach().view(-1), slopes.view(-1)
    with torch.no_grad():
        for i in range(len(flat)):
            before = flat[i].item()
            flat[i] = before + h
            above = function()
            flat[i] = before - h
            below = function()
            flat[i] = before
            found[i] = (above - below) / (2 * h)
    return slopes


@pytest.mark.parametrize("name", list(LAYERS))
def test_layer_rule_equals_central_differences(name: str, generator: torch.Generator) -> None:
    make, shape = LAYERS[name]
    layer = make(generator)
    # Random parameters: gamma 1 and beta 0 would hide mistakes.
    for key, array in layer.arrays().items():
        values = random(generator, *array.shape) if array.requires_grad else array.double()
        setattr(layer, key, values.requires_grad_(array.requires_grad))
    x = random(generator, *shape)
    y = layer(x).detach()
    dy = random(generator, *y.shape)
    dx, own = layer_backward(layer, x, y, dy)
    learned = {key: array for key, array in layer.arrays().items() if array.requires_grad}
    assert dx is not None
    assert set(own) == set(learned)
    for key, array, gradient in [("x", x, dx), *((key, learned[key], own[key]) for key in own)]:
        measured = central_differences(lambda: (layer(x) * dy).sum(), array)
        assert torch.allclose(gradient, measured, rtol=1e-6, atol=1e-8), key


def test_embedding_rule_adds_gradients_of_repeated_rows() -> None:
    table = nn.Embedding(4, 2, torch.Generator())
    ids = torch.tensor([[1, 3], [1, 1]])
    dx, own = layer_backward(table, ids, table(ids), torch.arange(8.0).view(2, 2, 2))
    assert dx is None
    assert own["weight"].tolist() == [[0, 0], [0 + 4 + 6, 1 + 5 + 7], [0, 0], [2, 3]]


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest, generator: torch.Generator) -> Network:
    """An untrained network in double precision whose gammas, betas and biases are not at their start."""
    network = build_model(NETWORKS[request.param], V, generator)
    set_precision(network, torch.float64)
    for parameter in network.parameters():
        parameter.detach().add_(0.3 * random(generator, *parameter.shape))
    return network


def test_backward_of_network_equals_autograd(network: Network, generator: torch.Generator) -> None:
    X = torch.randint(0, V, (9, network.config.block_size), generator=generator)
    targets = random_targets(generator, 9)
    outputs = forward(network.layers, X)
    parameters = named_parameters(network)
    inputs = {**outputs, **parameters}
    loss = functional.cross_entropy(list(outputs.values())[-1], targets)
    expected = dict(zip(inputs, torch.autograd.grad(loss, list(inputs.values())), strict=True))
    found = backward(network.layers, X, outputs, targets)
    assert list(found.outputs) == list(outputs)
    assert set(found.parameters) == set(parameters)
    for key, gradient in {**found.outputs, **found.parameters}.items():
        assert torch.allclose(gradient, expected[key], rtol=1e-11, atol=1e-13), key
        assert not gradient.requires_grad


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [([], [nn.LayerNorm(6)], "no rule by hand for a LayerNorm"), ([nn.Tanh()], [], "layer0 passes its gradient")],
    ids=["layer without a rule", "embedding not first"],
)
def test_unsupported_layers_are_rejected(before: list[nn.Layer], after: list[nn.Layer], words: str) -> None:
    layers = [*before, nn.Embedding(V, 3, torch.Generator()), nn.FlattenConsecutive(2), *after]
    X, outputs = torch.tensor([[1, 2], [3, 4]]), {}
    x = X
    for i, layer in enumerate(layers):
        x = X if isinstance(layer, nn.Tanh) else layer(x)
        outputs[f"layer{i}"] = x
    with pytest.raises(TypeError, match=words):
        backward(nn.Sequential(zip(outputs, layers, strict=True)), X, outputs, torch.tensor([0, 1]))


@pytest.mark.parametrize("size", [1.0, 1000.0])
def test_cross_entropy_steps_do_not_overflow(size: float, generator: torch.Generator) -> None:
    logits, targets = size * random(generator, B, V), random_targets(generator, B)
    steps = cross_entropy_steps(logits, targets)
    assert bool(steps["exps"].isfinite().all())
    if size == 1.0:
        assert torch.allclose(steps["loss"], functional.cross_entropy(logits, targets), rtol=1e-12)


def test_cross_entropy_long_backward_equals_autograd(generator: torch.Generator) -> None:
    logits, targets = random(generator, B, V).requires_grad_(), random_targets(generator, B)
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


def test_batch_norm_long_backward_equals_autograd(generator: torch.Generator) -> None:
    layer = nn.BatchNorm1d(C)
    layer.gamma, layer.beta = (random(generator, C).requires_grad_() for _ in range(2))
    x = (3 + 2 * random(generator, B, C)).requires_grad_()
    dy = random(generator, B, C)
    oracle = functional.batch_norm(x, None, None, layer.gamma, layer.beta, training=True, eps=layer.eps)
    by_torch = torch.autograd.grad(oracle, [x, layer.gamma, layer.beta], dy)
    steps = batch_norm_steps(layer, x)
    y = steps.pop("y")
    assert torch.allclose(y, oracle, rtol=1e-12, atol=1e-14)
    expected = dict(zip(steps, torch.autograd.grad(y, list(steps.values()), dy), strict=True))
    expected |= dict(zip(("x", "gamma", "beta"), by_torch, strict=True))
    found = batch_norm_long_backward(steps, layer, dy)
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-10, atol=1e-13), name
    dx, own = batch_norm_backward(layer, x.detach(), dy)
    for name, gradient in {"x": dx, **own}.items():
        assert torch.allclose(gradient, found[name], rtol=1e-10, atol=1e-13), name


@pytest.fixture
def trainers(corpus: Corpus) -> Trainers:
    """A trainer by hand and one by autograd, at the same start: forty steps in double precision, with a penalty."""
    plain = {"optimizer": "sgd", "batch": "windows", "learning_rate": 0.2, "l2": 0.1}
    return start(TrainingConfig(model=MLP, batch_size=16, steps=40, eval_every=20, **plain), corpus, torch.float64)


@pytest.fixture
def steps_compared(trainers: Trainers) -> Iterator[StepPair]:
    """The steps of both trainers, made on demand."""
    return train_both(*trainers, lambda step: None)


def test_check_compares_every_gradient(trainers: Trainers) -> None:
    network = trainers[0].network
    before = {name: array.clone() for name, array in network.state_dict().items()}
    found = check(network, trainers[0].batches.draw())
    names: dict[str, list[str]] = {}
    for row in found:
        names.setdefault(row.part.partition(",")[0], []).append(row.name)
    assert names["outputs of layers"] == list(network.layers.layers)
    learned = "embedding.weight linear0.weight norm0.gamma norm0.beta output.weight output.bias"
    assert names["parameters"] == learned.split()
    assert {"probs", "log_probs", "maxima", "logits"} <= set(names["cross-entropy"])
    assert {"mean", "variance", "inv_std", "x_hat", "x"} <= set(names["batch norm"])
    assert all(row.close and row.difference < 1e-14 for row in found)
    assert any(row.exact for row in found)
    assert all(torch.equal(array, before[name]) for name, array in network.state_dict().items())


def test_output_biases_keep_their_sum_under_plain_sgd(trainers: Trainers) -> None:
    """The rows of dlogits sum to zero, so the biases move but their sum stays zero."""
    list(trainers[0].fit())
    bias = trainers[0].network.state_dict()["output.bias"]
    assert float(bias.abs().max()) > 0.01
    assert abs(float(bias.sum())) < 1e-12


def batch_norm_without_mean(layer: nn.BatchNorm1d, x: Tensor, dy: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    inv_std = (x.var(0, unbiased=False) + layer.eps).rsqrt()
    return layer.gamma * inv_std * dy, {"gamma": (dy * (x - x.mean(0)) * inv_std).sum(0), "beta": dy.sum(0)}


def linear_with_mean_of_bias(layer: nn.Linear, x: Tensor, dy: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    own = {"weight": x.T @ dy}
    return dy @ layer.weight.T, own if layer.bias is None else {**own, "bias": dy.mean(0)}


def embedding_with_last_row_only(weight: Tensor, ids: Tensor, dy: Tensor) -> Tensor:
    return torch.zeros_like(weight).index_copy_(0, ids.reshape(-1), dy.reshape(-1, dy.shape[-1]))


def tanh_slope_of_input(y: Tensor, dy: Tensor) -> Tensor:
    return dy * (1 - y)


@pytest.mark.parametrize(
    ("rule", "wrong", "spoilt"),
    [
        ("cross_entropy_backward", lambda z, t: z.softmax(1) - torch.eye(z.shape[1])[t], "output"),
        ("tanh_backward", tanh_slope_of_input, "norm0"),
        ("batch_norm_backward", batch_norm_without_mean, "linear0"),
        ("linear_backward", linear_with_mean_of_bias, "output.bias"),
        ("embedding_backward", embedding_with_last_row_only, "embedding.weight"),
    ],
)
def test_check_reports_gradient_of_wrong_rule(
    rule: str, wrong: Callable[..., Any], spoilt: str, trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backprop, rule, wrong)
    assert spoilt in [row.name for row in check(trainers[0].network, trainers[0].batches.draw()) if not row.close]


def test_rows_classify_exact_close_and_wrong_gradients() -> None:
    ones = torch.ones(3, dtype=torch.float64)
    given = {"same": ones, "near": ones + 1e-15, "far": ones + 1e-6, "nan": ones * torch.nan, "shape": ones[None]}
    found = rows("part", given, dict.fromkeys(given, ones))
    assert [(row.exact, row.close) for row in found] == [(True, True), (False, True), *[(False, False)] * 3]
    assert found[2].difference == pytest.approx(1e-6)


def test_rows_reject_missing_and_surplus_gradients() -> None:
    ones = torch.ones(3)
    with pytest.raises(KeyError, match="b"):
        rows("part", {"a": ones}, {"a": ones, "b": ones})
    with pytest.raises(KeyError, match="nothing: b"):
        rows("part", {"a": ones, "b": ones}, {"a": ones})


def test_training_by_hand_equals_training_by_autograd(trainers: Trainers) -> None:
    by_hand, by_autograd = trainers
    first = [parameter.detach().clone() for parameter in by_hand.parameters]
    steps_compared = list(train_both(by_hand, by_autograd, lambda step: None))
    assert len(steps_compared) == 40
    assert all(pair.by_hand.loss == pytest.approx(pair.by_autograd.loss, abs=1e-12) for pair in steps_compared)
    assert steps_compared[-1].difference < 1e-12
    assert by_hand.best_loss == pytest.approx(by_autograd.best_loss, abs=1e-12)
    assert steps_compared[-1].by_hand.loss < steps_compared[0].by_hand.loss - 0.1
    assert all(not torch.equal(p, before) for p, before in zip(by_hand.parameters, first, strict=True))


def test_training_by_hand_never_calls_autograd(trainers: Trainers, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand, by_autograd = trainers
    for owner, name in ((torch.autograd, "grad"), (torch.Tensor, "backward"), (torch.autograd, "backward")):
        monkeypatch.setattr(owner, name, Mock(side_effect=AssertionError("autograd was called")))
    assert len(list(by_hand.fit())) == 40
    with pytest.raises(AssertionError, match="autograd was called"):
        next(by_autograd.fit())


def test_wrong_rule_makes_weights_diverge(steps_compared: Iterator[StepPair], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backprop, "tanh_backward", tanh_slope_of_input)
    assert next(steps_compared).difference > 1e-6


def test_batches_of_whole_names_are_rejected(trainers: Trainers, corpus: Corpus, generator: torch.Generator) -> None:
    batch = NameBatches(Examples.of(corpus.split.train, corpus.vocabulary), 8, generator).draw()
    with pytest.raises(TypeError, match="batches of windows"):
        trainers[0].gradients_of(batch)


@pytest.mark.parametrize("size", [5, 300])
def test_plot_is_reproducible_for_any_alphabet_size(size: int, steps_compared: Iterator[StepPair]) -> None:
    made = list(steps_compared)
    symbols = [chr(0x100 + i) for i in range(size)]
    dlogits = torch.linspace(-1, 1, 40 * size, dtype=torch.float64).view(40, size)
    png_of(lambda: backprop_plot(dlogits, [1] * 40, symbols, made))


def test_plot_title_shows_number_of_steps_which_is_not_zero(steps_compared: Iterator[StepPair]) -> None:
    made, batch = list(steps_compared), (torch.zeros(4, 3, dtype=torch.float64), [1] * 4, [".", "a", "b"])
    printed_metrics = [backprop_figure(*batch, shown) for shown in (made, made[:1], made * 50)]
    titles = [figure.axes[0].get_title(loc="left").partition(":")[0] for figure in printed_metrics]
    assert titles == ["After 40 steps", "After 1 step", "After 2,000 steps"]
    with pytest.raises(ValueError, match="no plot"):
        backprop_plot(*batch, [])


@pytest.mark.parametrize(("kind", "count"), [("mlp", 33), ("wavenet", 47)])
def test_command_prints_all_gradients_and_both_losses(tmp_path: Path, list_file: Path, kind: str, count: int) -> None:
    out = tmp_path / "backprop.png"
    result = run_cli("backprop-check", "--data", list_file, "--architecture", kind, "--steps", "12", "--out", out)
    printed = ["exact", "approximate", "largest", "linear0.weight", "norm0.gamma", "x_hat", "log_probs", "step 12/12"]
    assert [text for text in printed if text not in result.output] == []
    table = [line for line in result.output.splitlines() if re.search(r"│ +(yes|no) │ +(yes|no) │", line)]
    assert count == len(table) == figure_in(result, "gradients compared") == figure_in(result, "gradients that agree")
    assert figure_in(result, "dev loss by hand") == figure_in(result, "dev loss by autograd")
    assert figure_in(result, "difference of the dev losses") < 1e-12
    assert out.read_bytes().startswith(PNG)


@pytest.mark.parametrize(("precision", "low", "high"), [("single", 1e-10, 1e-5), ("double", 0, 1e-14)])
def test_gradients_agree_within_rounding_of_precision(list_file: Path, precision: str, low: float, high: float) -> None:
    result = run_cli("backprop-check", "--data", list_file, "--steps", "5", "--precision", precision)
    assert low <= figure_in(result, "largest difference of a gradient") < high


def test_wrong_gradient_ends_command_before_training(list_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backprop, "tanh_backward", tanh_slope_of_input)
    result = invoke("backprop-check", "--data", list_file, "--steps", "5")
    assert result.exit_code == 1
    assert "norm0 (outputs of layers)" in result.stderr
    assert "training/lessons/backprop.py" in result.stderr
    assert "dev loss" not in result.output


def test_diverging_trainings_end_command_with_an_error(list_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    correct = HandTrainer.gradients_of

    def too_small(trainer: HandTrainer, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        loss, gradients = correct(trainer, batch)
        return loss, [gradient / 2 for gradient in gradients]

    monkeypatch.setattr(HandTrainer, "gradients_of", too_small)
    result = invoke("backprop-check", "--data", list_file, "--steps", "30")
    assert result.exit_code == 1
    assert "apart in dev loss; rounding alone allows 1e-06" in result.stderr
