"""Context: flat networks as large as trees, alike trained; and the picture."""

import pytest
import torch

from models import ModelConfig
from models.networks import build_model
from training.config import TrainingConfig
from training.corpus import Corpus
from training.lessons.context import FLAT, TREE, compare, flat_width, parameters_of, sights
from training.lessons.context_command import counted_loss, figures
from training.lessons.context_plot import context_plot
from training.trainer import Step

SHAPE = ModelConfig(architecture="wavenet", block_size=8, n_embd=24, n_hidden=128)


def test_flat_and_tree_are_of_one_size() -> None:
    """At each sight both learn as many numbers to within one flat unit, which no other width comes nearer to."""
    pairs: dict[int, dict[str, ModelConfig]] = {}
    for sight in sights(SHAPE, 27):
        pairs.setdefault(sight.block_size, {})[sight.kind] = sight.config
    assert {size: set(pair) for size, pair in pairs.items()} == {
        1: {FLAT},
        2: {TREE},
        4: {TREE, FLAT},
        8: {TREE, FLAT},
        16: {TREE, FLAT},
    }
    for pair in (pairs[4], pairs[8], pairs[16]):
        goal = parameters_of(pair[TREE], 27)
        apart = [
            abs(parameters_of(pair[FLAT].model_copy(update={"n_hidden": pair[FLAT].n_hidden + d}), 27) - goal)
            for d in (-1, 0, 1)
        ]
        assert apart[1] == min(apart)
        assert pair[TREE].n_hidden == 128


def test_two_characters_joined_are_both() -> None:
    """With two characters a tree and a flat network are the same network: the same shapes of the same arrays."""
    flat = SHAPE.model_copy(update={"architecture": "mlp", "block_size": 2, "n_layers": 1})
    tree = SHAPE.model_copy(update={"block_size": 2})
    one, other = (build_model(config, 27, torch.Generator()).state_dict() for config in (flat, tree))
    assert {name: array.shape for name, array in one.items()} == {name: array.shape for name, array in other.items()}
    assert flat_width(parameters_of(tree, 27), flat, 27) == 128


def test_networks_are_trained_alike(corpus: Corpus) -> None:
    """Every network makes the same steps on the same batches and is told with its size; the picture shows them."""
    config = TrainingConfig(model=SHAPE, batch_size=32, steps=5, eval_every=5, seed=2)
    networks = list(sights(SHAPE.model_copy(update={"n_hidden": 6, "n_embd": 3}), len(corpus.vocabulary)))
    steps: list[Step] = []
    reached = compare(config, corpus, steps.append, networks)
    assert [step.step for step in steps] == [1, 2, 3, 4, 5] * len(networks)
    assert [one.sight for one in reached] == networks
    for one in reached:
        assert one.parameters == parameters_of(one.sight.config, len(corpus.vocabulary))
        assert 0 < one.dev < 4
    counting = counted_loss(corpus)
    assert list(figures(reached, counting).values()) == [counting, *(one.dev for one in reached)]
    picture = context_plot(reached, counting)
    assert picture.startswith(b"\x89PNG")
    assert 5_000 < len(picture) < 300_000
    assert context_plot(reached, counting) == picture


def test_a_longer_sight_learns_more(corpus: Corpus) -> None:
    """On names of two-letter syllables a network that sees four characters gets below the bigram; one of one
    character does not.
    """
    config = TrainingConfig(model=SHAPE, batch_size=64, steps=200, eval_every=200, learning_rate=0.02, seed=1)
    shape = SHAPE.model_copy(update={"n_hidden": 24, "n_embd": 8})
    networks = [s for s in sights(shape, len(corpus.vocabulary)) if (s.kind, s.block_size) in ((FLAT, 1), (TREE, 4))]
    one, four = compare(config, corpus, lambda step: None, networks)
    bigram = counted_loss(corpus)
    assert one.dev == pytest.approx(bigram, abs=0.1)
    assert four.dev < bigram - 0.1
