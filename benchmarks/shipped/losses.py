"""How well the shipped models predict held-out names, against counts.

    python -m benchmarks.shipped.losses [DATASETS] [--splits] [--resume]

The first table has each default on the dev and test names of its own split, beside interpolated Kneser-Ney counts of
its train names. With `--splits` a network learns each list five times, from other train names each time. For a list
whose default has no teacher it is trained as the release trains it; for other lists it has the default's shape, no
teacher and few passes, so that its gap to the counts is a lower bound of the default's. That takes three hours on two
cores; `--resume` keeps the saved rows.
"""

import statistics
import time
from collections.abc import Iterator, Sequence

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.results import Result, commit, console, load_results, save_result, this_machine
from data import CATALOG
from models import ModelRegistry, Version, prepare
from models.kernel.int8.model import int8_model, style_bias
from training.comparison import Gap, names_gap, paired_gap
from training.config import TrainingConfig, load_config
from training.corpus import Corpus, shipped_corpus
from training.dataset import Examples
from training.evaluation import measured
from training.kneser_ney import ORDER, KneserNey
from training.publishing import recreate_split
from training.quantization import name_losses
from training.release import UNTAUGHT, WIDE
from training.run import Job, RunCallbacks, run

SEEDS = (42, 43, 44, 45, 46)
BENCHMARK = "shipped-splits"
# The network learns for itself, and not for long.
ALONE = {"n_layers": 1, "dropout": 0.15, "input_dropout": 0.05, "weight_decay": 0.03, "passes": 8, "max_steps": 4000}


def mean_counts(corpus: Corpus) -> float:
    """Return the dev loss of Kneser-Ney counts of the train names, in nats per character."""
    names = measured(corpus.split).dev
    losses = KneserNey.fit(corpus.split.train, corpus.vocabulary).name_losses(names)
    return float(losses.sum()) / sum(len(name) + 1 for name in names)


def gap_of(version: Version) -> Gap:
    """Return by how much an integer version beats Kneser-Ney counts on its dev names, compared name by name."""
    split, vocabulary = recreate_split(version), version.manifest.alphabet
    names, arrays = measured(split).dev, version.arrays()
    model, style = int8_model(version.manifest.config, arrays), style_bias(arrays)
    mine = torch.from_numpy(name_losses(model, style, names, vocabulary))
    counts = KneserNey.fit(split.train, vocabulary).name_losses(names)
    return names_gap(mine, counts, Examples.of(names, vocabulary).lengths)


def config_of(dataset: str, version: Version, seed: int) -> TrainingConfig:
    """Return the hyperparameters of a network of the default's shape that learns without a teacher."""
    if dataset in UNTAUGHT:
        return load_config(WIDE, dataset, {"split_seed": seed})
    shape = {"n_embd": version.manifest.config.n_embd, "n_hidden": version.manifest.config.n_hidden}
    return load_config("lstm", dataset, {**ALONE, **shape, "split_seed": seed})


def measure(dataset: str, version: Version, seed: int, screen: Console) -> Result:
    """Train on one split and save the dev losses of the network and of the counts."""
    began, corpus = time.monotonic(), shipped_corpus(dataset, seed)
    job = Job(corpus, config_of(dataset, version, seed), "lstm", torch.device("cpu"))
    with screen.status(f"{dataset}, split seed {seed}"):
        result = run(job, RunCallbacks(lambda step: None, lambda: False, time.monotonic))
        losses = {"dev": result.losses["dev"], "counts": mean_counts(corpus)}
    row = Result(
        benchmark=BENCHMARK,
        row=dataset,
        seed=seed,
        parameters=result.network.parameter_count,
        seconds=time.monotonic() - began,
        losses=losses,
        commit=commit(),
        machine=this_machine(),
        measured=time.strftime("%Y-%m-%d"),
    )
    save_result(row)
    screen.print(f"{dataset}, split seed {seed}: {losses['dev']:.4f}, counts {losses['counts']:.4f}")
    return row


def split_rows(datasets: Sequence[str], rows: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    """Yield the means over the splits of each data set: network, counts, and the gap with its standard error."""
    for dataset in datasets:
        mine = [row.losses for row in rows if row.row == dataset]
        if len(mine) < 2:
            continue
        dev, counts = ([losses[part] for losses in mine] for part in ("dev", "counts"))
        gap = paired_gap(dev, counts)
        means = (f"{statistics.fmean(each):.4f}" for each in (dev, counts))
        yield dataset, str(len(mine)), *means, f"{gap.mean:.4f}", f"{gap.error:.4f}"


def default_rows(datasets: Sequence[str], registry: ModelRegistry) -> Iterator[tuple[str, ...]]:
    """Yield the losses of each default, and its gap to counts."""
    for dataset in datasets:
        version = registry.resolve(dataset)
        metrics, gap = version.manifest.metrics, gap_of(version)
        losses = (f"{metrics[part]:.4f}" if part in metrics else "" for part in ("dev", "test", "dev with styles"))
        yield version.reference, *losses, f"{gap.mean:.4f}", f"{gap.error:.4f}"


def show(screen: Console, title: str, heads: Sequence[str], rows: Iterator[tuple[str, ...]]) -> None:
    """Print a table; all columns but the first hold numbers."""
    table = Table(heads[0], title=title, title_justify="left")
    for head in heads[1:]:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row)
    screen.print(table)


@click.command()
@click.argument("datasets", nargs=-1, type=click.Choice(list(CATALOG)))
@click.option("--splits", is_flag=True, help="Train on five splits of each list.")
@click.option("--resume", is_flag=True, help="Keep the saved rows of the splits.")
def main(datasets: tuple[str, ...], splits: bool, resume: bool) -> None:
    """Print the losses of the shipped defaults of DATASETS, or of all."""
    registry, screen, chosen = ModelRegistry.open(prepare()), console(), datasets or tuple(CATALOG)
    done = {(row.row, row.seed) for row in load_results(BENCHMARK)} if resume else set()
    if splits:
        for dataset in chosen:
            version = registry.resolve(dataset)
            for seed in SEEDS:
                if (dataset, seed) not in done:
                    measure(dataset, version, seed, screen)
    heads = ("version", "dev", "test", "dev with styles", f"below order-{ORDER} counts", "standard error")
    show(screen, "Shipped defaults, nats per character", heads, default_rows(chosen, registry))
    rows = load_results(BENCHMARK)
    heads = ("list", "splits", "network", f"order-{ORDER} counts", "gap", "standard error")
    show(screen, "Means of splits, nats per dev character", heads, split_rows(chosen, rows))


if __name__ == "__main__":
    main()
