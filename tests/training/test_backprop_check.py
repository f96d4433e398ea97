"""The comparison of gradients notices what is wrong, and a training by hand alone is the one by autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models import ModelConfig
from models.networks.layers import BatchNorm1d, Linear
from training import backprop, backprop_check, backprop_race
from training.backprop_check import check, rows
from training.backprop_plot import backprop_figure, backprop_plot
from training.backprop_race import HandTrainer, race, start
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples, NameBatches, Windows
from training.trainer import Trainer

MLP = ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=9)


@pytest.fixture
def config() -> TrainingConfig:
    """Forty steps of plain descent over an mlp, on windows, with a penalty."""
    return TrainingConfig(
        model=MLP, optimizer="sgd", batch="windows", batch_size=16, steps=40, eval_every=20, learning_rate=0.2, l2=0.1
    )


def batch_of(trainer: Trainer) -> Windows:
    batch = trainer.batches.draw()
    assert isinstance(batch, Windows)
    return batch


def test_every_gradient_is_compared_and_none_is_wrong(config: TrainingConfig, corpus: Corpus) -> None:
    """A row for each output, parameter and small step, all within rounding; the network is left as it was."""
    trainer, _ = start(config, corpus, torch.float64)
    before = {name: array.clone() for name, array in trainer.network.state_dict().items()}
    found = check(trainer.network, batch_of(trainer))
    names = [(row.part.partition(",")[0], row.name) for row in found]
    layers = list(trainer.network.layers.layers)
    assert [name for part, name in names if part == "outputs of layers"] == layers
    assert [name for part, name in names if part == "parameters"] == [
        *("embedding.weight", "linear0.weight", "norm0.gamma", "norm0.beta", "output.weight", "output.bias")
    ]
    assert {"probs", "log_probs", "maxima", "logits"} <= {name for part, name in names if part == "cross-entropy"}
    assert {"mean", "variance", "inv_std", "x_hat", "x"} <= {name for part, name in names if part == "batch norm"}
    assert all(row.close and row.apart < 1e-14 for row in found)
    assert any(row.exact for row in found)
    assert all(torch.equal(array, before[name]) for name, array in trainer.network.state_dict().items())


def test_plain_descent_keeps_the_sum_of_the_last_biases(config: TrainingConfig, corpus: Corpus) -> None:
    """The rows of dlogits add up to zero, so the biases move but their sum stays where it began, at zero."""
    trainer, _ = start(config, corpus, torch.float64)
    for _ in trainer.fit():
        pass
    bias = trainer.network.state_dict()["output.bias"]
    assert float(bias.abs().max()) > 0.01
    assert abs(float(bias.sum())) < 1e-12


def _no_mean(layer: BatchNorm1d, x: Tensor, dy: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    x_hat = (x - x.mean(0)) * (x.var(0, unbiased=False) + layer.eps).rsqrt()
    dx = layer.gamma * (x.var(0, unbiased=False) + layer.eps).rsqrt() * dy
    return dx, {"gamma": (dy * x_hat).sum(0), "beta": dy.sum(0)}


def _one_bias_only(layer: Linear, x: Tensor, dy: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    own = {"weight": x.T @ dy}
    return dy @ layer.weight.T, own if layer.bias is None else {**own, "bias": dy.mean(0)}


def _last_wins(weight: Tensor, ids: Tensor, dy: Tensor) -> Tensor:
    return torch.zeros_like(weight).index_copy_(0, ids.reshape(-1), dy.reshape(-1, dy.shape[-1]))


WRONG: dict[str, tuple[str, Callable[..., Any], str]] = {
    "a mean forgotten": ("cross_entropy_backward", lambda z, t: z.softmax(1) - torch.eye(z.shape[1])[t], "output"),
    "a slope of the input": ("tanh_backward", lambda y, dy: dy * (1 - y), "norm0"),
    "statistics held for constants": ("batch_norm_backward", _no_mean, "linear0"),
    "a mean where a sum belongs": ("linear_backward", _one_bias_only, "output.bias"),
    "a row read twice, counted once": ("embedding_backward", _last_wins, "embedding.weight"),
}


@pytest.mark.parametrize("mistake", list(WRONG))
def test_a_wrong_rule_is_noticed(
    mistake: str, config: TrainingConfig, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each usual mistake makes the gradient that it spoils a row that is neither exact nor close."""
    rule, wrong, spoilt = WRONG[mistake]
    monkeypatch.setattr(backprop, rule, wrong)
    trainer, _ = start(config, corpus, torch.float64)
    bad = [row.name for row in check(trainer.network, batch_of(trainer)) if not row.close]
    assert spoilt in bad


def test_rows_tell_exact_from_close_and_from_wrong() -> None:
    """The bit decides exact, rounding close; another shape, no number and a missing gradient are wrong."""
    ones = torch.ones(3, dtype=torch.float64)
    given = {
        "same": ones,
        "near": ones + 1e-15,
        "far": ones + 1e-6,
        "none": ones * torch.nan,
        "shape": torch.ones(1, 3),
    }
    found = rows("part", given, dict.fromkeys(given, ones))
    assert [(row.exact, row.close) for row in found] == [(True, True), (False, True), *[(False, False)] * 3]
    assert found[2].apart == pytest.approx(1e-6)
    with pytest.raises(KeyError, match="b"):
        rows("part", {"a": ones}, {"a": ones, "b": ones})
    with pytest.raises(KeyError, match="nothing: b"):
        rows("part", {"a": ones, "b": ones}, {"a": ones})


def test_both_trainings_end_at_the_same_weights(config: TrainingConfig, corpus: Corpus) -> None:
    """Forty steps with a penalty from the same start: losses and weights agree to 1e-12, and something was learned."""
    by_hand, by_autograd = start(config, corpus, torch.float64)
    first = [parameter.detach().clone() for parameter in by_hand.parameters]
    laps = list(race(by_hand, by_autograd, lambda step: None))
    assert len(laps) == 40
    assert all(lap.by_hand.loss == pytest.approx(lap.by_autograd.loss, abs=1e-12) for lap in laps)
    assert laps[-1].apart < 1e-12
    assert by_hand.best_loss == pytest.approx(by_autograd.best_loss, abs=1e-12)
    assert laps[-1].by_hand.loss < laps[0].by_hand.loss - 0.1
    assert all(not torch.equal(p, before) for p, before in zip(by_hand.parameters, first, strict=True))


def test_the_training_by_hand_asks_autograd_for_nothing(
    config: TrainingConfig, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With autograd out of order the training by hand goes on, and the other one does not."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("autograd was asked")

    by_hand, by_autograd = start(config, corpus, torch.float64)
    monkeypatch.setattr(torch.autograd, "grad", refuse)
    monkeypatch.setattr(torch.Tensor, "backward", refuse)
    monkeypatch.setattr(torch.autograd, "backward", refuse)
    assert len(list(by_hand.fit())) == 40
    with pytest.raises(AssertionError, match="autograd was asked"):
        next(by_autograd.fit())


def test_a_wrong_rule_leads_another_way(
    config: TrainingConfig, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race compares two trainings that could differ: with a wrong slope the weights come apart at once."""
    monkeypatch.setattr(backprop, "tanh_backward", lambda y, dy: dy * (1 - y))
    laps = race(*start(config, corpus, torch.float64), lambda step: None)
    assert next(laps).apart > 1e-6


def test_whole_names_are_refused(config: TrainingConfig, corpus: Corpus) -> None:
    """By hand it goes over windows: a batch of whole names is refused by name."""
    trainer, _ = start(config, corpus, torch.float64)
    generator = torch.Generator().manual_seed(1)
    batch = NameBatches(Examples.of(corpus.split.train, corpus.vocabulary), 8, generator).draw()
    with pytest.raises(TypeError, match="batches of windows"):
        trainer.gradients_of(batch)


def test_the_picture_repeats_itself(config: TrainingConfig, corpus: Corpus) -> None:
    """The same race gives the same PNG, for an alphabet of any size; without a step there is none."""
    laps = list(race(*start(config, corpus, torch.float64), lambda step: None))
    for size in (5, 300):
        symbols = [chr(0x100 + i) for i in range(size)]
        dlogits = torch.linspace(-1, 1, 40 * size, dtype=torch.float64).view(40, size)
        pictures = {backprop_plot(dlogits, [1] * 40, symbols, laps) for _ in range(2)}
        assert len(pictures) == 1
        assert pictures.pop().startswith(b"\x89PNG\r\n")
    with pytest.raises(ValueError, match="no picture"):
        backprop_plot(dlogits, [1] * 40, symbols, [])


def test_the_picture_says_after_how_many_steps(config: TrainingConfig, corpus: Corpus) -> None:
    """The left picture's title tells how long the network learned: twenty steps are not called a training."""
    laps = list(race(*start(config, corpus, torch.float64), lambda step: None))
    dlogits = torch.zeros(4, 3, dtype=torch.float64)
    titles = []
    for shown in (laps, laps[:1], laps * 50):
        pulls = backprop_figure(dlogits, [1] * 4, [".", "a", "b"], shown).axes[0]
        titles.append(pulls.get_title(loc="left").partition(":")[0])
    assert titles == ["After 40 steps", "After 1 step", "After 2,000 steps"]


def test_the_names_of_parameters_are_in_the_trainers_order(config: TrainingConfig, corpus: Corpus) -> None:
    """Named parameters are the network's parameters, one for one: else gradients would go to the wrong ones."""
    trainer, _ = start(config, corpus, torch.float64)
    assert isinstance(trainer, HandTrainer)
    named = backprop_check.named_parameters(trainer.network)
    assert [id(p) for p in named.values()] == [id(p) for p in trainer.parameters]
    assert all(p.dtype == torch.float64 and p.requires_grad and p.is_leaf for p in named.values())
    backprop_race.set_precision(trainer.network, torch.float32)
    assert {p.dtype for p in trainer.network.parameters()} == {torch.float32}
