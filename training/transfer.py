"""Transfer learning: copy the weights of a network trained on another list into a fresh one.

Characters are matched by name, so the two vocabularies may differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models import ModelConfig, Vocabulary
from models.networks import Network
from models.vocabulary import END
from training.errors import TrainingError

# Arrays with an entry for each character, and the axis of that entry.
BY_CHARACTER = {"embedding.weight": 0, "output.weight": 1, "output.bias": 0}


@dataclass(frozen=True)
class WarmStart:
    """A trained network that gives the initial weights, with its name, vocabulary and training names."""

    name: str
    network: Network
    vocabulary: Vocabulary
    names: frozenset[str]


def copy_weights(network: Network, vocabulary: Vocabulary, start: WarmStart) -> None:
    """Copy the weights of `start` into `network`, in place.

    A character that only `network` knows keeps its fresh weights; one that it does not know is dropped. Styles start
    at zero where the two differ in them. Raises
    `TrainingError` if the shapes differ, and for a bigram, which has no weights beyond those of its characters.
    """
    if network.config.architecture == "bigram" or shape(network.config) != shape(start.network.config):
        raise TrainingError(
            f"{start.name} cannot be started from: it is made as {shape(start.network.config)}, this run as "
            f"{shape(network.config)}; allowed is the same shape, and no bigram."
        )
    mine, theirs = shared_positions(vocabulary, start.vocabulary)
    old = start.network.state_dict()
    for name, array in network.state_dict().items():
        axis = BY_CHARACTER.get(name)
        if name in old and (axis is not None or old[name].shape == array.shape):
            array.copy_(old[name] if axis is None else _moved(array, old[name], axis, mine, theirs))


def shape(config: ModelConfig) -> Mapping[str, object]:
    """Return the fields of `config` that decide the shapes of the weights."""
    return config.model_dump(exclude={"dropout", "input_dropout"})


def shared_positions(mine: Vocabulary, theirs: Vocabulary) -> tuple[Tensor, Tensor]:
    """Return the indices of the shared characters in both vocabularies, end token first."""
    both = sorted(set(mine.characters) & set(theirs.characters))
    here, there = (torch.tensor([END, *vocabulary.encode("".join(both))]) for vocabulary in (mine, theirs))
    return here, there


def _moved(fresh: Tensor, old: Tensor, axis: int, mine: Tensor, theirs: Tensor) -> Tensor:
    return fresh.index_copy(axis, mine, old.index_select(axis, theirs))
