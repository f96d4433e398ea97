"""A trainer at its first step, made from hyperparameters and a list of names. What drives it is elsewhere."""

import torch

from models.networks import build_model
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Batches, Examples
from training.trainer import Trainer
from training.transfer import Start, begin


def new_trainer(
    config: TrainingConfig,
    corpus: Corpus,
    device: torch.device,
    start: Start | None = None,
    batches: Batches | None = None,
) -> Trainer:
    """Return a trainer over the train and dev names of `corpus`.

    Weights and batches are those of the config's seed, unless there is a `start` or there are `batches`.
    """
    generator = torch.Generator().manual_seed(config.seed)
    network = build_model(config.model, len(corpus.vocabulary), generator)
    if start is not None:
        begin(network, corpus.vocabulary, start)
    network.to(device)
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    return Trainer(network, config, train, dev, generator, device, batches)
