"""The command `shapes`: the shape of a batch after each layer, and the parameters of each layer."""

from dataclasses import dataclass

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from data import HUMAN_2018
from models.networks import Network, build_model
from training.config import load_config
from training.corpus import human_2018_corpus
from training.dataset import Examples
from training.errors import TrainingError
from training.report import metric_line

DATASET = HUMAN_2018.name
# Names in the batch.
NAMES = 32


@dataclass(frozen=True)
class LayerShape:
    """A layer, the shape of its output, and its number of parameters."""

    name: str
    shape: tuple[int, ...]
    learned: int


def layer_shapes(network: Network, X: Tensor) -> list[LayerShape]:
    """Return the output shape of each layer for contexts X (B, block_size).

    Raises `TrainingError` for an LSTM, whose layers read whole names.
    """
    if network.config.architecture == "lstm":
        raise TrainingError(
            "The preset's architecture is lstm, which carries a state along whole names and has no windows; give a "
            "preset of another architecture, as wavenet."
        )
    shapes, x = [], X
    for name, layer in network.layers.layers.items():
        x = layer(x)
        shapes.append(LayerShape(name, tuple(x.shape), sum(array.numel() for array in layer.parameters())))
    return shapes


def max_logit_difference(network: Network, examples: Examples) -> float:
    """Return the largest difference between the logits of windows and of whole names, in eval mode."""
    network.eval()
    windows, rows = examples.windows(network.config.block_size), examples.rows
    with torch.no_grad():
        return float((network.windows(windows.X) - network.names(rows.ids, rows.positions)).abs().max())


@click.command("shapes")
@click.argument("preset")
def show_shapes(preset: str) -> None:
    """Show the shape of a batch after each layer.

    PRESET is any preset whose architecture is not lstm.
    """
    config = load_config(preset, DATASET, {})
    corpus = human_2018_corpus(config.split_seed)
    network = build_model(config.model, len(corpus.vocabulary), torch.Generator().manual_seed(config.seed))
    examples = Examples.of(corpus.split.dev[:NAMES], corpus.vocabulary)
    X = examples.windows(config.model.block_size).X
    with torch.no_grad():
        shapes = layer_shapes(network, X)
    console, table = Console(), Table("layer", "output shape")
    table.add_column("parameters", justify="right")
    table.add_row("X", _words(tuple(X.shape)), "")
    for layer in shapes:
        table.add_row(layer.name, _words(layer.shape), f"{layer.learned:,}" if layer.learned else "")
    console.print(table)
    console.print(metric_line("parameters", network.parameter_count, "d"), highlight=False)
    console.print(
        metric_line("windows and whole names apart by", max_logit_difference(network, examples), ".1e"), highlight=False
    )


def _words(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
