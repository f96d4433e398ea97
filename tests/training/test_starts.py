"""Starts: saturation against the normal distribution, the first loss against ln V, what BatchNorm does."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from models import ModelConfig
from models.networks import build_model
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples
from training.inside.diagnostics import first_batch, snapshot
from training.lessons.starts import STARTS, Start, begin_as, even_guess, saturated_share, try_starts
from training.lessons.starts_plot import starts_plot
from training.trainer import Step

DEEP = ModelConfig(architecture="mlp", block_size=4, n_embd=8, n_hidden=100, n_layers=3)


def first_shares(start: Start, corpus: Corpus, seed: int) -> tuple[float, float]:
    """The saturated share of the first layer, and the first loss."""
    network = build_model(DEEP, len(corpus.vocabulary), torch.Generator().manual_seed(seed))
    begin_as(network, start)
    shot = snapshot(network, first_batch(Examples.of(corpus.names, corpus.vocabulary), 100, 1))
    assert shot.activations[0].share is not None
    return shot.activations[0].share, shot.loss


def test_the_closed_form_is_that_of_many_random_numbers() -> None:
    """The share of a normal variable that a tanh saturates is what a million draws give."""
    draws = np.random.default_rng(0).standard_normal(1_000_000)
    for spread in (0.5, 1.0, 5 / 3, 6.0):
        assert saturated_share(spread) == pytest.approx((np.abs(np.tanh(draws * spread)) > 0.97).mean(), abs=0.002)


def test_the_first_layer_is_as_stuck_as_the_closed_form_says(corpus: Corpus) -> None:
    """The sum of 32 products of unit normals spreads by sqrt(32), Kaiming's by 5/3, and after BatchNorm by 1."""
    spreads = {"all weights unit normal": 32**0.5, "Kaiming": 5 / 3, "Kaiming and BatchNorm": 1.0}
    for name, spread in spreads.items():
        start = next(one for one in STARTS if one.name == name)
        shares = [first_shares(start, corpus, seed)[0] for seed in range(8)]
        assert np.mean(shares) == pytest.approx(saturated_share(spread), abs=0.05), name


def test_small_logits_guess_evenly(corpus: Corpus) -> None:
    """Every start but the sure one begins at ln V; the sure one far above."""
    V = len(corpus.vocabulary)
    assert even_guess(V) == -np.log(np.full(V, 1 / V)).mean()
    for start in STARTS:
        _, loss = first_shares(start, corpus, 1)
        if start.sure:
            assert loss > 2 * even_guess(V)
        else:
            assert loss == pytest.approx(even_guess(V), abs=0.1)


def test_batchnorm_does_not_see_how_large_weights_are(corpus: Corpus) -> None:
    """With BatchNorm, wide weights and Kaiming's give the same outputs; without it they do not."""
    shares = {start.name: first_shares(start, corpus, 3) for start in STARTS}
    assert shares["unit normal and BatchNorm"] == pytest.approx(shares["Kaiming and BatchNorm"], abs=1e-4)
    assert shares["small logits"][0] > shares["Kaiming"][0] + 0.2


def test_every_start_runs_alike(corpus: Corpus) -> None:
    """Each start makes all its steps over the same batches, learns, and is drawn; the same again gives the same."""
    config = TrainingConfig(model=DEEP, batch_size=32, steps=6, eval_every=6, seed=2)
    steps: list[Step] = []
    results = try_starts(config, corpus, steps.append)
    assert [result.start for result in results] == list(STARTS)
    assert Counter(step.step for step in steps) == dict.fromkeys(range(1, 7), len(STARTS))
    assert all(math.isfinite(result.dev) and len(result.losses) == 6 for result in results)
    again = try_starts(config, corpus, lambda step: None, STARTS[2:3])
    assert again[0].losses == results[2].losses
    picture = starts_plot(results, even_guess(len(corpus.vocabulary)))
    assert picture.startswith(b"\x89PNG")
    assert 5_000 < len(picture) < 300_000
