"""A trainer at its first step, made from hyperparameters and a list of names. What drives it is elsewhere."""

import torch

from models.networks import build_model
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples
from training.trainer import Trainer


def new_trainer(config: TrainingConfig, corpus: Corpus, device: torch.device) -> Trainer:
    """Return a trainer over the train and dev names of `corpus`: weights and batches are those of the config's seed."""
    generator = torch.Generator().manual_seed(config.seed)
    network = build_model(config.model, len(corpus.vocabulary), generator)
    network.to(device)
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    return Trainer(network, config, train, dev, generator, device)
