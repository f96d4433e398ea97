"""Going on from a network that learned another list: its weights move into a fresh network of the same shape, character
by character. A short list then starts from what a long one taught.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models import ModelConfig, Vocabulary
from models.networks import Network
from models.vocabulary import END
from training.errors import TrainingError

# The arrays that have a place for each character, and the axis where it is.
BY_CHARACTER = {"embedding.weight": 0, "output.weight": 1, "output.bias": 0}


@dataclass(frozen=True)
class Start:
    """A trained network to go on from: what it is called, its alphabet, and the names that it has seen."""

    name: str
    network: Network
    vocabulary: Vocabulary
    names: frozenset[str]


def begin(network: Network, vocabulary: Vocabulary, start: Start) -> None:
    """Copy the weights of `start` into `network`, in place. A character that only `network` knows keeps its fresh
    numbers, one that it does not know is left behind.

    Raises `TrainingError` where the two have different shapes, and for a bigram, which is nothing but characters.
    """
    if network.config.architecture == "bigram" or shape(network.config) != shape(start.network.config):
        raise TrainingError(
            f"{start.name} cannot be started from: it is made as {shape(start.network.config)}, this run as "
            f"{shape(network.config)}; allowed is the same shape, and no bigram."
        )
    mine, theirs = places(vocabulary, start.vocabulary)
    old = start.network.state_dict()
    for name, array in network.state_dict().items():
        axis = BY_CHARACTER.get(name)
        array.copy_(old[name] if axis is None else _moved(array, old[name], axis, mine, theirs))


def shape(config: ModelConfig) -> Mapping[str, object]:
    """Return what of a config decides the form of the weights."""
    return config.model_dump(exclude={"dropout", "input_dropout"})


def places(mine: Vocabulary, theirs: Vocabulary) -> tuple[Tensor, Tensor]:
    """Return where the characters that both know stand in the one and in the other, end token first."""
    both = sorted(set(mine.characters) & set(theirs.characters))
    here, there = (torch.tensor([END, *vocabulary.encode("".join(both))]) for vocabulary in (mine, theirs))
    return here, there


def _moved(fresh: Tensor, old: Tensor, axis: int, mine: Tensor, theirs: Tensor) -> Tensor:
    return fresh.index_copy(axis, mine, old.index_select(axis, theirs))
