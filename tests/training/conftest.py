"""What the tests of the training room share: small configurations, a small corpus, and a trainer that is soon done."""

from collections.abc import Callable

import pytest
import torch

from models import ModelConfig, Vocabulary
from models.networks import build_model
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples
from training.trainer import Trainer

TINY = ModelConfig(architecture="wavenet", block_size=4, n_embd=4, n_hidden=12)
MakeTrainer = Callable[[TrainingConfig], Trainer]


@pytest.fixture
def tiny_config() -> TrainingConfig:
    """A run of twelve steps over a small wavenet."""
    return TrainingConfig(model=TINY, batch_size=16, steps=12, eval_every=5, learning_rate=0.01, seed=3)


@pytest.fixture
def corpus(made_up_names: tuple[str, ...]) -> Corpus:
    """A list of 250 names with a story."""
    return Corpus(
        dataset="elves",
        title="Elves of the tests",
        names=made_up_names[::4],
        sha256="ab" * 32,
        split_seed=42,
        licence="CC0-1.0",
        source="nobody",
        notice="Thanks to nobody.",
        summary="250 names",
    )


@pytest.fixture
def make_trainer(corpus: Corpus) -> MakeTrainer:
    """Returns a function from hyperparameters to a fresh trainer over the corpus."""

    def make(config: TrainingConfig) -> Trainer:
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(config.model, len(corpus.vocabulary), generator)
        train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
        return Trainer(network, config, train, dev, generator)

    return make


@pytest.fixture
def ten_names() -> tuple[tuple[str, ...], Vocabulary]:
    """Ten names of different lengths, and their alphabet."""
    names = ("emma", "liv", "noah", "bo", "kai", "ada", "theodora", "jo", "maximilian", "uma")
    return names, Vocabulary.of(names)
