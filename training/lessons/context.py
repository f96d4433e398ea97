"""The lesson on WaveNet: a tree against a flat network of the same size. Numbers, picture and command."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models import ModelConfig
from models.networks import bigram_by_counting, build_model
from training.config import TrainingConfig, load_config
from training.corpus import Corpus, shipped_corpus
from training.dataset import Examples
from training.device import choose_device
from training.evaluation import mean_loss
from training.paths import prepare_picture, write_output
from training.plots import DEV, INK, TRAIN, dress, new_sheet, png, tell
from training.progress import relay_on
from training.report import show_figures
from training.trainer import Step, Trainer

TREE, FLAT = "tree", "flat"
BLOCK_SIZES = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Sight:
    """A network to compare: what it is called, the characters it sees, and its shape."""

    kind: str
    config: ModelConfig

    @property
    def block_size(self) -> int:
        """How many characters it sees."""
        return self.config.block_size


@dataclass(frozen=True)
class Reached:
    """What a network reached: the numbers it learned, and its lowest dev loss in nats per character."""

    sight: Sight
    parameters: int
    dev: float


def sights(shape: ModelConfig, vocab_size: int) -> Iterator[Sight]:
    """Yield the networks to compare, shortest sight first.

    With one character there is nothing to join, and two joined are both a tree and flat: there is one network each.
    """
    for block_size in BLOCK_SIZES:
        tree = shape.model_copy(update={"architecture": "wavenet", "block_size": block_size})
        flat = shape.model_copy(update={"architecture": "mlp", "block_size": block_size, "n_layers": 1})
        if block_size == 1:
            yield Sight(FLAT, flat)
            continue
        yield Sight(TREE, tree)
        if block_size > 2:
            width = flat_width(parameters_of(tree, vocab_size), flat, vocab_size)
            yield Sight(FLAT, flat.model_copy(update={"n_hidden": width}))


def parameters_of(config: ModelConfig, vocab_size: int) -> int:
    """Return how many numbers a network of this shape learns."""
    return build_model(config, vocab_size, torch.Generator()).parameter_count


def flat_width(parameters: int, flat: ModelConfig, vocab_size: int) -> int:
    """Return the n_hidden with which an mlp of one hidden layer learns as many numbers, as nearly as can be.

    It learns V C + T C H for the hidden layer, 2 H for its BatchNorm, H V + V for the logits: solved for H.
    """
    V, C, T = vocab_size, flat.n_embd, flat.block_size
    return round((parameters - V * C - V) / (T * C + 2 + V))


def compare(
    config: TrainingConfig, corpus: Corpus, show: Callable[[Step], None], networks: list[Sight]
) -> list[Reached]:
    """Return what each network reached, trained alike: the same batches, the same steps."""
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    reached = []
    for sight in networks:
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(sight.config, len(corpus.vocabulary), generator)
        # The weights took different numbers of random numbers: the batches begin anew.
        generator.manual_seed(config.seed)
        trainer = Trainer(network, config.model_copy(update={"model": sight.config}), train, dev, generator)
        for step in trainer.fit():
            show(step)
        reached.append(Reached(sight, network.parameter_count, trainer.best_loss))
    return reached


def context_plot(reached: Sequence[Reached], counting: float) -> bytes:
    """Return a PNG. `counting`: the dev loss of the bigram by counting, in nats."""
    figure = new_sheet(6.4, 4.0)
    axes = figure.add_subplot()
    for kind, colour, words in ((FLAT, TRAIN, "all joined at once"), (TREE, DEV, "joined two by two")):
        points = [(one.sight.block_size, one.dev) for one in reached if one.sight.kind == kind or shared(one)]
        axes.plot(*zip(*points, strict=True), "o-", color=colour, linewidth=1.5, markersize=5, label=words)
    axes.axhline(counting, color=INK, linewidth=0.9, linestyle="--")
    axes.annotate(
        "bigram by counting", (1, counting), (-2, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="right", color=INK, fontsize=8.5,
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(BLOCK_SIZES, [str(size) for size in BLOCK_SIZES])
    dress(axes, "What context is worth", "characters of context", "dev loss, nats per character")
    tell(axes)
    return png(figure)


def shared(one: Reached) -> bool:
    """Whether the network is both a tree and flat."""
    return one.sight.block_size <= 2


PRESET, DATASET, SMOOTHING = "wavenet", "human", 1.0


@click.command("context")
@click.option("--out", type=click.Path(path_type=Path), help="A picture, as context.png.")
@click.option("--steps", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Of each run.")
def command(out: Path | None, steps: int) -> None:
    """Compare a tree with a flat network of the same size.

    Both see 1, 2, 4, 8 and 16 characters.
    """
    config = load_config(PRESET, DATASET, {"steps": steps, "eval_every": steps})
    corpus = shipped_corpus(DATASET, config.split_seed)
    if out is not None:
        prepare_picture(out)
    choose_device("cpu")
    console = Console()
    networks = list(sights(config.model, len(corpus.vocabulary)))
    with relay_on(console, len(networks)) as show:
        reached = compare(config, corpus, show, networks)
    counting = counted_loss(corpus)
    console.print(_table(reached))
    show_figures(console, figures(reached, counting))
    if out is not None:
        write_output(out.parent, {out.name: context_plot(reached, counting)}, "--out")
        console.print(Text(f"Written: {out}"), soft_wrap=True)


def counted_loss(corpus: Corpus) -> float:
    """Return the dev loss of the bigram by counting."""
    bigram = bigram_by_counting(corpus.split.train, corpus.vocabulary, SMOOTHING)
    return mean_loss(bigram, Examples.of(corpus.split.dev, corpus.vocabulary))


def _table(reached: list[Reached]) -> Table:
    table = Table("network")
    for head in ("characters seen", "n_hidden", "parameters", "dev loss"):
        table.add_column(head, justify="right")
    for one in reached:
        shape = one.sight.config
        table.add_row(
            one.sight.kind, str(shape.block_size), str(shape.n_hidden), f"{one.parameters:,}", f"{one.dev:.4f}"
        )
    return table


def figures(reached: list[Reached], counting: float) -> dict[str, float]:
    """Return what the lesson promises."""
    seen = {f"dev loss, {one.sight.kind}, {one.sight.block_size} characters": one.dev for one in reached}
    return {"dev loss, bigram by counting": counting} | seen
