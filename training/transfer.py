"""Transfer learning: copy the weights of a network trained on another list into a fresh one.

Characters are matched by name, so the two vocabularies may differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models import ModelConfig, Vocabulary
from models.kernel.freeze import style_biases
from models.networks import Network
from models.styles import NO_STYLES, Styles
from models.vocabulary import END
from training.errors import TrainingError

# Arrays with an entry for each character, and the axis of that entry.
BY_CHARACTER = {"embedding.weight": 0, "output.weight": 1, "output.bias": 0}


@dataclass(frozen=True)
class WarmStart:
    """A trained network that gives the initial weights, with its name, vocabulary, training names and styles."""

    name: str
    network: Network
    vocabulary: Vocabulary
    names: frozenset[str]
    styles: Styles = NO_STYLES


def copy_weights(network: Network, vocabulary: Vocabulary, start: WarmStart, styles: Styles = NO_STYLES) -> None:
    """Copy the weights of `start` into `network`, which learns `styles`, in place.

    A character or a value of a style that only `network` knows keeps its fresh weights, but a grapheme cluster takes
    those of its first letter; one that it does not know is dropped. Raises `TrainingError` if the shapes differ, and
    for a bigram, which has no weights beyond those of its characters.
    """
    if network.config.architecture == "bigram" or shape(network.config) != shape(start.network.config):
        raise TrainingError(
            f"{start.name} cannot be started from: it is made as {shape(start.network.config)}, this run as "
            f"{shape(network.config)}; allowed is the same shape, and no bigram."
        )
    characters = shared_positions(vocabulary, start.vocabulary)
    both = [value for value in styles.rows if value in start.styles.rows]
    values = tuple(
        torch.tensor([each.rows[value] for value in both], dtype=torch.int64) for each in (styles, start.styles)
    )
    old = start.network.state_dict()
    for name, array in network.state_dict().items():
        if name in style_biases(network.config):
            if both:
                array.copy_(_moved(array, old[name], 0, *values))
        elif (axis := BY_CHARACTER.get(name)) is not None:
            array.copy_(_moved(array, old[name], axis, *characters))
        else:
            array.copy_(old[name])


def shape(config: ModelConfig) -> Mapping[str, object]:
    """Return the fields of `config` that decide the shapes of the weights."""
    return config.model_dump(exclude={"dropout", "input_dropout"})


def shared_positions(mine: Vocabulary, theirs: Vocabulary) -> tuple[Tensor, Tensor]:
    """Return the indices of the shared characters in both vocabularies, end token first.

    A cluster that only `mine` has shares the first letter of `theirs`.
    """
    pairs = [(i, theirs.stoi.get(c, theirs.stoi.get(c[0]))) for c, i in mine.stoi.items()]
    shared = torch.tensor([(END, END), *(pair for pair in pairs if pair[1] is not None)])
    return shared[:, 0], shared[:, 1]


def _moved(fresh: Tensor, old: Tensor, axis: int, mine: Tensor, theirs: Tensor) -> Tensor:
    return fresh.index_copy(axis, mine, old.index_select(axis, theirs))
