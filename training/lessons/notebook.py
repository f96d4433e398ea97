"""The lesson on serving: sampling in a notebook compared with the service. Numbers and command."""

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
from models.store.bucket import Location
from training.device import choose_device
from training.errors import Interrupted
from training.options import kernels_option, store_option
from training.paths import open_registry
from training.pretrained import resolve_trained
from training.progress import progress_on, stop_requests
from training.publishing import load_network
from training.report import metric_line

Clock = Callable[[], float]
# Candidates drawn before the service is timed, because a running service is warm.
WARM_UP = 100


@dataclass(frozen=True)
class Comparison:
    """The notebook and the service: their names, their times, and the largest difference of a logit."""

    notebook: Sequence[str]
    service: Sequence[str]
    notebook_seconds: float
    service_seconds: float
    difference: float

    @property
    def different(self) -> int:
        """The number of names that differ."""
        return sum(a != b for a, b in zip_longest(self.notebook, self.service))


def uniform_number(seed: int, index: int, t: int) -> float:
    """Return the random number for character t of candidate `index`: 30 bits, from 0 to 1."""
    with np.errstate(over="ignore"):
        words = philox.py_func(np.uint64(seed), np.uint64(index), np.uint64(t // 4))
    word = int(words[t % 4]) >> 32 - BITS
    return word / 2.0**BITS


@torch.no_grad()
def notebook_name(network: Network, vocabulary: Vocabulary, longest: int, seed: int, index: int) -> str | None:
    """Sample candidate `index` as a notebook does. Return None if it is longer than `longest`.

    Each step applies softmax to the logits of a sliding context, and takes the first character whose cumulative
    probability exceeds the random number. The end has probability 0 at first, so that no name is empty.
    """
    context = [0] * network.config.block_size
    name: list[int] = []
    while len(name) <= longest:
        logits = network.windows(torch.tensor([context]))[0].double()
        if not name:
            logits[0] = -torch.inf
        below = logits.softmax(0).cumsum(0)
        i = int((below <= uniform_number(seed, index, len(name))).sum())
        if i == 0:
            return vocabulary.decode(name)
        name.append(i)
        context = [*context[1:], i]
    return None


def compare(
    network: Network,
    generator: NameGenerator,
    count: int,
    seed: int,
    clock: Clock,
    on_progress: Callable[[int, int], None],
) -> Comparison:
    """Draw `count` candidates both ways, and compare the logits along every name."""
    network.eval()
    vocabulary, longest = generator.vocabulary, generator.longest
    drawn, start = [], clock()
    for index in range(count):
        drawn.append(notebook_name(network, vocabulary, longest, seed, index))
        on_progress(index + 1, count)
    middle = clock()
    notebook = [name for name in drawn if name is not None]
    generator.generate(WARM_UP, seed=seed + 1, constraints=AS_DRAWN)
    begun = clock()
    service = generator.generate(len(notebook), seed=seed, constraints=AS_DRAWN).names
    seconds = clock() - begun
    return Comparison(notebook, service, middle - start, seconds, max_logit_difference(network, generator, notebook))


@torch.no_grad()
def max_logit_difference(network: Network, generator: NameGenerator, names: Sequence[str]) -> float:
    """Return the largest difference between the logits of torch and of the kernel, along `names`."""
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
@click.option(
    "--seed", type=click.IntRange(0, MAX_SEED - 1), default=7, show_default=True, help="Seed of the candidates."
)
@store_option
@kernels_option
def compare_with_notebook(reference: str, count: int, seed: int, store: Location, kernels: Path | None) -> None:
    """Compare sampling in a notebook with sampling in the service.

    REFERENCE is human, human/wavenet or human/wavenet@2.
    """
    version = resolve_trained(reference, open_registry(store, prepare(kernels)))
    choose_device("cpu")
    console = Console()
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:

        def on_progress(done: int, total: int) -> None:
            if is_stopped():
                raise Interrupted(f"Stopped after {done:,} of {total:,} candidates.")
            progress.count("the notebook's candidates", done, total)

        comparison = compare(load_network(version), version.generator, count, seed, time.perf_counter, on_progress)
    for line in lines(comparison):
        console.print(Text(line), soft_wrap=True)


def lines(comparison: Comparison) -> list[str]:
    """Return the lines that the command prints."""
    return [
        f"the notebook says: {_names(comparison.notebook)}",
        f"the service says: {_names(comparison.service)}",
        f"the notebook draws {_rate(len(comparison.notebook), comparison.notebook_seconds)} names a second",
        f"the service draws {_rate(len(comparison.service), comparison.service_seconds)} names a second",
        metric_line("names", len(comparison.notebook), "d"),
        metric_line("names that differ", comparison.different, "d"),
        metric_line("logits apart by at most", comparison.difference, ".1e"),
    ]


def _names(names: Sequence[str]) -> str:
    return ", ".join(capitalize(name) for name in names[:SHOWN])


def _rate(count: int, seconds: float) -> str:
    return f"{count / max(seconds, 1e-9):,.0f}"
