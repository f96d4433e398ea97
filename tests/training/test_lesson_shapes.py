"""Shapes: the way of a batch through the layers, parameters against a closed form, windows beside whole names."""

import pytest
import torch
from click.testing import CliRunner

from models.networks import build_model
from tests.conftest import CONFIGS, untrained
from training.cli import main
from training.corpus import Corpus
from training.dataset import Examples
from training.lessons.shapes import stations, views_apart


def test_a_tree_halves_its_positions() -> None:
    """Each join halves the positions and doubles the channels; the last leaves one row of logits for each window."""
    network = build_model(CONFIGS["wavenet"], 27, torch.Generator())
    way = {station.name: station.shape for station in stations(network, torch.zeros(5, 8, dtype=torch.int64))}
    assert way["embedding"] == (5, 8, 6)
    assert (way["join0"], way["join1"], way["join2"]) == ((5, 4, 12), (5, 2, 40), (5, 40))
    assert way["output"] == (5, 27)


@pytest.mark.parametrize("name", ["bigram", "mlp", "deep_mlp", "wavenet", "gated_wavenet"])
def test_every_parameter_is_counted_once(name: str) -> None:
    """The layers' numbers add up to the network's, and an mlp's to V C + T C H + 2 H + H V + V."""
    config = CONFIGS[name]
    network = build_model(config, 27, torch.Generator())
    way = stations(network, torch.zeros(4, config.block_size, dtype=torch.int64))
    assert sum(station.learned for station in way) == network.parameter_count
    if name == "mlp":
        assert network.parameter_count == 27 * 5 + 3 * 5 * 16 + 2 * 16 + 16 * 27 + 27


@pytest.mark.parametrize("name", ["mlp", "wavenet", "gated_wavenet"])
def test_both_views_are_one_function(name: str, corpus: Corpus) -> None:
    """Windows and whole names differ by rounding alone; with one weight changed in between they differ by more."""
    network = untrained(CONFIGS[name], len(corpus.vocabulary))
    examples = Examples.of(corpus.names[:40], corpus.vocabulary)
    assert views_apart(network, examples) < 1e-4
    windows = network.windows
    network.windows = lambda X: windows(X.roll(1, dims=1))  # type: ignore[method-assign]
    assert views_apart(network, examples) > 0.01


def test_the_command_tells_shapes() -> None:
    """The table has a line for each layer, then come the figures; an lstm is refused with what to give instead."""
    result = CliRunner().invoke(main, ["shapes", "wavenet"])
    assert result.exit_code == 0, result.output
    assert "(218, 2, 256)" in result.output
    assert "parameters: 76579\n" in result.output
    refused = CliRunner().invoke(main, ["shapes", "lstm"])
    assert refused.exit_code == 1
    assert "give a preset of another architecture, as wavenet" in refused.output
