"""The lesson on WaveNet: a tree compared with a flat network. Numbers, plot and command."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data import HUMAN_2018
from models import ModelConfig
from models.networks import bigram_by_counting, build_model
from training.config import TrainingConfig, load_config
from training.corpus import Corpus, human_2018_corpus
from training.dataset import Examples
from training.device import choose_device
from training.evaluation import mean_loss
from training.paths import prepare_picture, write_output
from training.plots import DEV, INK, TRAIN, add_legend, new_figure, png, style_axes
from training.progress import multi_run_progress
from training.report import show_metrics
from training.trainer import Step, Trainer

TREE, FLAT = "tree", "flat"
BLOCK_SIZES = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class ContextModel:
    """A network to compare: its kind and its configuration."""

    kind: str
    config: ModelConfig

    @property
    def block_size(self) -> int:
        """The number of characters in its context."""
        return self.config.block_size


@dataclass(frozen=True)
class Result:
    """A trained network: its number of parameters, and its lowest dev loss in nats per character."""

    model: ContextModel
    parameters: int
    dev: float


def models_to_compare(shape: ModelConfig, vocab_size: int) -> Iterator[ContextModel]:
    """Yield the networks to compare, shortest context first.

    For one or two characters, tree and flat network are the same, so there is one network each.
    """
    for block_size in BLOCK_SIZES:
        tree = shape.model_copy(update={"architecture": "wavenet", "block_size": block_size})
        flat = shape.model_copy(update={"architecture": "mlp", "block_size": block_size, "n_layers": 1})
        if block_size == 1:
            yield ContextModel(FLAT, flat)
            continue
        yield ContextModel(TREE, tree)
        if block_size > 2:
            width = flat_width(parameters_of(tree, vocab_size), flat, vocab_size)
            yield ContextModel(FLAT, flat.model_copy(update={"n_hidden": width}))


def parameters_of(config: ModelConfig, vocab_size: int) -> int:
    """Return the number of parameters of a network of this shape."""
    return build_model(config, vocab_size, torch.Generator()).parameter_count


def flat_width(parameters: int, flat: ModelConfig, vocab_size: int) -> int:
    """Return the n_hidden for which an MLP with one hidden layer has about `parameters` parameters.

    It has V C for the embedding, T C H for the hidden layer, 2 H for its BatchNorm, and H V + V for the logits.
    """
    V, C, T = vocab_size, flat.n_embd, flat.block_size
    return round((parameters - V * C - V) / (T * C + 2 + V))


def compare(
    config: TrainingConfig, corpus: Corpus, show: Callable[[Step], None], networks: list[ContextModel]
) -> list[Result]:
    """Train all networks with the same batches and steps, and return their results."""
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    results = []
    for model in networks:
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(model.config, len(corpus.vocabulary), generator)
        # Weights of different shapes use different amounts of random numbers, so seed the batches again.
        generator.manual_seed(config.seed)
        trainer = Trainer(network, config.model_copy(update={"model": model.config}), train, dev, generator)
        for step in trainer.fit():
            show(step)
        results.append(Result(model, network.parameter_count, trainer.best_loss))
    return results


def context_plot(results: Sequence[Result], counting: float) -> bytes:
    """Return a PNG. `counting`: the dev loss of the bigram by counting, in nats."""
    figure = new_figure(6.4, 4.0)
    axes = figure.add_subplot()
    for kind, colour, words in ((FLAT, TRAIN, "all joined at once"), (TREE, DEV, "joined two by two")):
        points = [(one.model.block_size, one.dev) for one in results if one.model.kind == kind or is_tree_and_flat(one)]
        axes.plot(*zip(*points, strict=True), "o-", color=colour, linewidth=1.5, markersize=5, label=words)
    axes.axhline(counting, color=INK, linewidth=0.9, linestyle="--")
    axes.annotate(
        "bigram by counting", (1, counting), (-2, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="right", color=INK, fontsize=8.5,
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(BLOCK_SIZES, [str(size) for size in BLOCK_SIZES])
    style_axes(axes, "What context is worth", "characters of context", "dev loss, nats per character")
    add_legend(axes)
    return png(figure)


def is_tree_and_flat(one: Result) -> bool:
    """Return whether the network is both a tree and flat."""
    return one.model.block_size <= 2


PRESET, DATASET, SMOOTHING = "wavenet", HUMAN_2018.name, 1.0


@click.command("context")
@click.option("--out", type=click.Path(path_type=Path), help="Write a plot, such as context.png.")
@click.option("--steps", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Steps of each run.")
def compare_contexts(out: Path | None, steps: int) -> None:
    """Compare a tree with a flat network of the same size.

    Both see 1, 2, 4, 8 and 16 characters.
    """
    config = load_config(PRESET, DATASET, {"steps": steps, "eval_every": steps})
    corpus = human_2018_corpus(config.split_seed)
    if out is not None:
        prepare_picture(out)
    choose_device("cpu")
    console = Console()
    networks = list(models_to_compare(config.model, len(corpus.vocabulary)))
    with multi_run_progress(console, len(networks)) as show:
        results = compare(config, corpus, show, networks)
    counting = counted_loss(corpus)
    console.print(_table(results))
    show_metrics(console, printed_metrics(results, counting))
    if out is not None:
        write_output(out.parent, {out.name: context_plot(results, counting)}, "--out")
        console.print(Text(f"Written: {out}"), soft_wrap=True)


def counted_loss(corpus: Corpus) -> float:
    """Return the dev loss of the bigram by counting."""
    bigram = bigram_by_counting(corpus.split.train, corpus.vocabulary, SMOOTHING)
    return mean_loss(bigram, Examples.of(corpus.split.dev, corpus.vocabulary))


def _table(results: list[Result]) -> Table:
    table = Table("network")
    for head in ("characters seen", "n_hidden", "parameters", "dev loss"):
        table.add_column(head, justify="right")
    for one in results:
        shape = one.model.config
        table.add_row(
            one.model.kind, str(shape.block_size), str(shape.n_hidden), f"{one.parameters:,}", f"{one.dev:.4f}"
        )
    return table


def printed_metrics(results: list[Result], counting: float) -> dict[str, float]:
    """Return the numbers that the lesson shows, by label."""
    seen = {f"dev loss, {one.model.kind}, {one.model.block_size} characters": one.dev for one in results}
    return {"dev loss, bigram by counting": counting} | seen
