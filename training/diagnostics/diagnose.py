"""`python -m training diagnose`: the lectures' pictures of a version or a preset, beside those of a bad start, in a
folder with a page that says what to look for. Collecting and drawing are done next door.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.text import Text

from data import CATALOG
from models import ModelRegistry, prepare
from models.networks import Network, build_model
from training.config import TrainingConfig, load_config, preset_names
from training.corpus import Corpus, shipped_corpus
from training.dataset import Examples
from training.device import choose_device
from training.diagnostics import plots
from training.diagnostics.explanations import EXPLANATIONS
from training.diagnostics.statistics import (
    SPOILT,
    SURE,
    Course,
    Snapshot,
    first_batch,
    follow,
    is_normalised,
    snapshot,
    spoil,
)
from training.errors import TrainingError
from training.options import kernels_option, store_option
from training.origins import find
from training.paths import open_registry, prepare_output, write_output
from training.progress import progress_on
from training.publishing import network_of, split_of
from training.run import Outcome
from training.trainer import Step, Trainer

STEPS = 200
GOOD = "a good start"
Show = Callable[[Step], None]


@dataclass(frozen=True)
class DiagnosedModel:
    """What is looked at: a name, hyperparameters, names to look with, and trained weights where there are some."""

    name: str
    config: TrainingConfig
    corpus: Corpus
    network: Network | None = None


def patient_of(reference: str, dataset: str, registry: ModelRegistry) -> DiagnosedModel:
    """Return the preset or the published version that `reference` means. Raises `TrainingError`, `ModelError`."""
    if reference in preset_names():
        config = load_config(reference, dataset, {})
        return DiagnosedModel(f"preset {reference}", config, shipped_corpus(dataset, config.split_seed))
    if reference not in registry.datasets() and "/" not in reference:
        raise TrainingError(
            f"{reference!r} is neither a preset nor a version; allowed: {', '.join(preset_names())}, or a version as "
            "human/lstm@2."
        )
    version = find(reference, registry)
    manifest = version.manifest
    preset = str(manifest.training.get("preset", ""))
    config = load_config(preset if preset in preset_names() else "wavenet", manifest.dataset, {})
    config = config.model_copy(update={"model": manifest.config})
    split = split_of(version)
    corpus = Corpus(
        manifest.dataset,
        manifest.data.title,
        (*split.train, *split.dev, *split.test),
        manifest.data.sha256,
        manifest.data.split_seed,
    )
    return DiagnosedModel(version.reference, config, corpus, network_of(version))


def diagnose(diagnosed: DiagnosedModel, steps: int, show: Show) -> dict[str, bytes]:
    """Return every picture and the page README.md, by file name. Trains two short runs of `steps` steps."""
    shots: dict[str, Snapshot] = {}
    courses: dict[str, Course] = {}
    learned = diagnosed.network
    corpus = diagnosed.corpus
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    config = diagnosed.config.model_copy(
        update={"method": "gradient", "steps": steps, "eval_every": max(1, steps // 10)}
    )
    batch = first_batch(train, config.batch_size, config.seed)
    if learned is not None:
        shots[f"{diagnosed.name}, trained"] = snapshot(learned, batch)
    for is_bad in (False, True):
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(config.model, len(corpus.vocabulary), generator)
        title = bad_title(network) if is_bad else GOOD
        if is_bad:
            spoil(network)
        shots[title] = snapshot(network, batch)
        courses[title] = follow(Trainer(network, config, train, dev, generator), show)
        # Of a preset, the map is that of the good run, which comes first.
        learned = learned or network
    files = drawn(shots, courses, learned or network, corpus.vocabulary.itos)
    return {**files, "README.md": _page(diagnosed, steps, shots, courses, files).encode()}


def bad_title(network: Network) -> str:
    """Return what a bad start of the fresh `network` is made of."""
    title = f"a bad start: weights x {SPOILT:g}, the last x {SPOILT * SURE:g}"
    return f"{title}, no BatchNorm" if is_normalised(network) else title


def inside(outcome: Outcome, steps: int, show: Show) -> dict[str, bytes]:
    """Return the pictures of a finished run for its version, by file name."""
    job = outcome.job
    name = f"{job.corpus.dataset}/{job.config.model.architecture}"
    files = diagnose(DiagnosedModel(name, job.config, job.corpus, outcome.network), steps, show)
    del files["README.md"]
    return files


def drawn(
    shots: Mapping[str, Snapshot], courses: Mapping[str, Course], learned: Network, symbols: Sequence[str]
) -> dict[str, bytes]:
    """Return the pictures by file name; a network without bent layers has none of their outputs."""
    files = {}
    if any(shot.activations for shot in shots.values()):
        files["activations.png"] = plots.activations(shots)
        files["gradients.png"] = plots.gradients(shots)
    weight = learned.state_dict()["embedding.weight"]
    return {
        **files,
        "weights.png": plots.weights(shots),
        "updates.png": plots.updates(courses),
        "losses.png": plots.losses(courses),
        "embedding.png": plots.embedding(weight, symbols),
    }


def refuse_stores(folder: Path, registry: ModelRegistry) -> None:
    """Raise `TrainingError` for a folder inside of a store: versions never change."""
    for store in registry.stores:
        if folder.resolve().is_relative_to(store.root.resolve()):
            raise TrainingError(
                f"--output {folder} lies in the store {store.root}; published versions never change. "
                "Give a folder elsewhere."
            )


def write(files: Mapping[str, bytes], folder: Path, registry: ModelRegistry) -> None:
    """Write `files` into `folder`. Raises `TrainingError` for a folder inside of a store."""
    refuse_stores(folder, registry)
    write_output(folder, dict(files))


def _page(
    diagnosed: DiagnosedModel,
    steps: int,
    shots: Mapping[str, Snapshot],
    courses: Mapping[str, Course],
    files: Mapping[str, bytes],
) -> str:
    lines = [f"# {diagnosed.name}, seen from inside", ""]
    lines.append(
        f"One batch of {diagnosed.config.batch_size} names, and two runs of {steps} steps: one from a good start, one "
        f"from a bad one, whose weights are {SPOILT:g} times too large, those of the last matrix {SPOILT * SURE:g} "
        "times. A BatchNorm, where there is one, does nothing there, as it would hide the damage."
    )
    lines += [
        "",
        "| | loss of the batch | dev loss after the run | most saturated layer |",
        "| --- | --- | --- | --- |",
    ]
    for title, shot in shots.items():
        share, worst = max(((a.share, a.name) for a in shot.activations if a.share is not None), default=(0.0, ""))
        told = f"{worst}, {share:.0%}" if worst else ""
        course = courses.get(title)
        end = f"{course.dev[-1][1]:.4f}" if course and course.dev else ""
        lines.append(f"| {title} | {shot.loss:.4f} | {end} | {told} |")
    for name in files:
        lines += ["", f"![{name.partition('.')[0]}]({name})", "", EXPLANATIONS[name]]
    return "\n".join(lines) + "\n"


@click.command("diagnose")
@click.argument("reference")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the pictures."
)
@click.option("--dataset", type=click.Choice(list(CATALOG)), default="human", show_default=True, help="For a preset.")
@click.option("--steps", type=click.IntRange(10, 100_000), default=STEPS, show_default=True, help="Of each short run.")
@store_option
@kernels_option
def command(reference: str, output: Path, dataset: str, steps: int, store: Path, kernels: Path | None) -> None:
    """Draw what goes on inside a network, beside a bad start.

    REFERENCE is a preset, or a version as human/lstm@2. Nothing is published.
    """
    console, registry = Console(), open_registry(store, prepare(kernels))
    refuse_stores(output, registry)
    diagnosed = patient_of(reference, dataset, registry)
    prepare_output(output)
    choose_device("cpu")
    with progress_on(console, time.monotonic) as progress:
        files = diagnose(diagnosed, steps, progress.show)
    write(files, output, registry)
    console.print(Text(f"{len(files) - 1} pictures of {diagnosed.name} and a page about them: {output / 'README.md'}"))
