"""The lesson on serving: sampling as a notebook does, and as the service does. Numbers and command."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import click
import numpy as np
import torch
from rich.console import Console
from rich.text import Text

from models import NameGenerator, Vocabulary, prepare
from models.inference import AS_DRAWN, MAX_SEED
from models.inference.predictor import opened
from models.kernel.arithmetic import philox
from models.kernel.distribution import BITS
from models.networks import Network
from models.spelling import capitalize
from training.device import choose_device
from training.errors import Interrupted
from training.options import kernels_option, store_option
from training.paths import open_registry
from training.pretrained import resolve_reference
from training.progress import progress_on, stop_requests
from training.publishing import load_network
from training.report import figure_line

Clock = Callable[[], float]
# Candidates of the service that are drawn once before it is timed, as a service that runs has done.
WARM_UP = 100


@dataclass(frozen=True)
class Comparison:
    """The notebook beside the service: names of each, seconds each took, and how far their logits lie apart."""

    notebook: Sequence[str]
    service: Sequence[str]
    notebook_seconds: float
    service_seconds: float
    apart: float

    @property
    def different(self) -> int:
        """How many names differ."""
        return sum(a != b for a, b in zip_longest(self.notebook, self.service))


def random_words(seed: int, index: int, t: int) -> float:
    """Return what candidate `index` draws its character t with: from 0 to 1, of 30 bits."""
    with np.errstate(over="ignore"):
        words = philox.py_func(np.uint64(seed), np.uint64(index), np.uint64(t // 4))
    word = int(words[t % 4]) >> 32 - BITS
    return word / 2.0**BITS


@torch.no_grad()
def notebook_name(network: Network, vocabulary: Vocabulary, longest: int, seed: int, index: int) -> str | None:
    """Return candidate `index` as a notebook would draw it; None for one that is longer than `longest`.

    The context slides along; softmax; the first character whose probabilities add up to more than the random number.
    No name is empty: before its first character the end has probability 0.
    """
    context = [0] * network.config.block_size
    name: list[int] = []
    while len(name) <= longest:
        logits = network.windows(torch.tensor([context]))[0].double()
        if not name:
            logits[0] = -torch.inf
        below = logits.softmax(0).cumsum(0)
        i = int((below <= random_words(seed, index, len(name))).sum())
        if i == 0:
            return vocabulary.decode(name)
        name.append(i)
        context = [*context[1:], i]
    return None


def compare(
    network: Network, generator: NameGenerator, count: int, seed: int, clock: Clock, told: Callable[[int, int], None]
) -> Comparison:
    """Draw `count` candidates twice, and compare the logits along every name. `told` hears how far the loop is."""
    network.eval()
    vocabulary, longest = generator.vocabulary, generator.longest
    drawn, start = [], clock()
    for index in range(count):
        drawn.append(notebook_name(network, vocabulary, longest, seed, index))
        told(index + 1, count)
    middle = clock()
    notebook = [name for name in drawn if name is not None]
    generator.generate(WARM_UP, seed=seed + 1, constraints=AS_DRAWN)
    begun = clock()
    service = generator.generate(len(notebook), seed=seed, constraints=AS_DRAWN).names
    seconds = clock() - begun
    return Comparison(notebook, service, middle - start, seconds, logits_apart(network, generator, notebook))


@torch.no_grad()
def logits_apart(network: Network, generator: NameGenerator, names: Sequence[str]) -> float:
    """Return the largest difference between the logits of torch and those of the frozen form, along `names`."""
    worst = 0.0
    for name in names:
        ids = opened(generator.vocabulary.encode(name))
        theirs = network.names(torch.from_numpy(ids), torch.arange(len(ids))).numpy()
        worst = max(worst, float(np.abs(theirs - generator.predictor.logits(ids, generator.shares)).max()))
    return worst


SHOWN = 5


@click.command("notebook")
@click.argument("reference")
@click.option(
    "--steps",
    "--count",
    "count",
    type=click.IntRange(1, 100_000),
    default=500,
    show_default=True,
    help="Candidates to draw.",
)
@click.option("--seed", type=click.IntRange(0, MAX_SEED - 1), default=7, show_default=True, help="Of the candidates.")
@store_option
@kernels_option
def command(reference: str, count: int, seed: int, store: Path, kernels: Path | None) -> None:
    """Sample as a notebook does, and as the service does.

    REFERENCE is human, human/wavenet or human/wavenet@2.
    """
    version = resolve_reference(reference, open_registry(store, prepare(kernels)))
    choose_device("cpu")
    console = Console()
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:

        def told(done: int, total: int) -> None:
            if is_stopped():
                raise Interrupted(f"Stopped after {done:,} of {total:,} candidates.")
            progress.count("the notebook's candidates", done, total)

        comparison = compare(load_network(version), version.generator, count, seed, time.perf_counter, told)
    for line in lines(comparison):
        console.print(Text(line), soft_wrap=True)


def lines(comparison: Comparison) -> list[str]:
    """Return what the command prints."""
    return [
        f"the notebook says: {_names(comparison.notebook)}",
        f"the service says: {_names(comparison.service)}",
        f"the notebook draws {_rate(len(comparison.notebook), comparison.notebook_seconds)} names a second",
        f"the service draws {_rate(len(comparison.service), comparison.service_seconds)} names a second",
        figure_line("names", len(comparison.notebook), "d"),
        figure_line("names that differ", comparison.different, "d"),
        figure_line("logits apart by at most", comparison.apart, ".1e"),
    ]


def _names(names: Sequence[str]) -> str:
    return ", ".join(capitalize(name) for name in names[:SHOWN])


def _rate(count: int, seconds: float) -> str:
    return f"{count / max(seconds, 1e-9):,.0f}"
