"""The command `diagnose`: plots of a version or preset beside a bad start, with explanations."""

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
from models.store.bucket import Location
from training.config import TrainingConfig, load_config, preset_names
from training.corpus import Corpus, shipped_corpus
from training.dataset import Examples
from training.device import choose_device
from training.diagnostics import plots
from training.diagnostics.plots import EXPLANATIONS
from training.diagnostics.statistics import (
    BAD_OUTPUT_SCALE,
    BAD_SCALE,
    Snapshot,
    TrainingCurve,
    break_init,
    first_batch,
    has_batch_norm,
    record_training,
    snapshot,
)
from training.errors import TrainingError
from training.options import kernels_option, store_option
from training.paths import open_registry, prepare_output, write_output
from training.pretrained import resolve_trained
from training.progress import progress_on
from training.publishing import load_network, recreate_split
from training.run import RunResult
from training.trainer import Step, Trainer

STEPS = 200
GOOD = "a good start"
Show = Callable[[Step], None]


@dataclass(frozen=True)
class DiagnosedModel:
    """A network to diagnose: its name, hyperparameters and corpus, and its trained weights if it has any."""

    name: str
    config: TrainingConfig
    corpus: Corpus
    network: Network | None = None


def load_diagnosed(reference: str, dataset: str, registry: ModelRegistry) -> DiagnosedModel:
    """Return the preset or published version called `reference`. Raises `TrainingError` or `ModelError`."""
    if reference in preset_names():
        config = load_config(reference, dataset, {})
        return DiagnosedModel(f"preset {reference}", config, shipped_corpus(dataset, config.split_seed))
    if reference not in registry.datasets() and "/" not in reference:
        raise TrainingError(
            f"{reference!r} is neither a preset nor a version; allowed: {', '.join(preset_names())}, or a version as "
            "human/lstm@2."
        )
    version = resolve_trained(reference, registry)
    manifest = version.manifest
    preset = str(manifest.training.get("preset", ""))
    config = load_config(preset if preset in preset_names() else "wavenet", manifest.dataset, {})
    config = config.model_copy(update={"model": manifest.config})
    split = recreate_split(version)
    corpus = Corpus(
        manifest.dataset,
        manifest.data.title,
        (*split.train, *split.dev, *split.test),
        manifest.data.sha256,
        manifest.data.split_seed,
    )
    return DiagnosedModel(version.reference, config, corpus, load_network(version))


def diagnose(diagnosed: DiagnosedModel, steps: int, show: Show) -> dict[str, bytes]:
    """Return all plots and the page README.md, by file name. Trains two short runs of `steps` steps."""
    snapshots: dict[str, Snapshot] = {}
    curves: dict[str, TrainingCurve] = {}
    learned = diagnosed.network
    corpus = diagnosed.corpus
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    config = diagnosed.config.model_copy(
        update={"method": "gradient", "steps": steps, "eval_every": max(1, steps // 10)}
    )
    batch = first_batch(train, config.batch_size, config.seed)
    if learned is not None:
        snapshots[f"{diagnosed.name}, trained"] = snapshot(learned, batch)
    for is_bad in (False, True):
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(config.model, len(corpus.vocabulary), generator)
        title = bad_title(network) if is_bad else GOOD
        if is_bad:
            break_init(network)
        snapshots[title] = snapshot(network, batch)
        curves[title] = record_training(Trainer(network, config, train, dev, generator), show)
        # For a preset, plot the embedding of the good run, which comes first.
        learned = learned or network
    files = plot_all(snapshots, curves, learned or network, corpus.vocabulary.itos)
    return {**files, "README.md": _page(diagnosed, steps, snapshots, curves, files).encode()}


def bad_title(network: Network) -> str:
    """Return a title that says how a bad start changes the fresh `network`."""
    title = f"a bad start: weights x {BAD_SCALE:g}, the last x {BAD_SCALE * BAD_OUTPUT_SCALE:g}"
    return f"{title}, no BatchNorm" if has_batch_norm(network) else title


def diagnose_run(result: RunResult, steps: int, show: Show) -> dict[str, bytes]:
    """Return the plots of a finished run, by file name, to publish with its version."""
    job = result.job
    name = f"{job.corpus.dataset}/{job.config.model.architecture}"
    files = diagnose(DiagnosedModel(name, job.config, job.corpus, result.network), steps, show)
    del files["README.md"]
    return files


def plot_all(
    snapshots: Mapping[str, Snapshot], curves: Mapping[str, TrainingCurve], learned: Network, symbols: Sequence[str]
) -> dict[str, bytes]:
    """Return the plots by file name; a network without nonlinear layers has no plots of activations."""
    files = {}
    if any(shot.activations for shot in snapshots.values()):
        files["activations.png"] = plots.activations(snapshots)
        files["gradients.png"] = plots.gradients(snapshots)
    weight = learned.state_dict()["embedding.weight"]
    return {
        **files,
        "weights.png": plots.weights(snapshots),
        "updates.png": plots.updates(curves),
        "losses.png": plots.losses(curves),
        "embedding.png": plots.embedding(weight, symbols),
    }


def refuse_stores(folder: Path, registry: ModelRegistry) -> None:
    """Raise `TrainingError` for a folder inside a store, because versions never change."""
    for store in registry.stores:
        if folder.resolve().is_relative_to(store.root.resolve()):
            raise TrainingError(
                f"--output {folder} lies in the store {store.name}; published versions never change. "
                "Give a folder elsewhere."
            )


def write(files: Mapping[str, bytes], folder: Path, registry: ModelRegistry) -> None:
    """Write `files` into `folder`. Raises `TrainingError` for a folder inside a store."""
    refuse_stores(folder, registry)
    write_output(folder, dict(files))


def _page(
    diagnosed: DiagnosedModel,
    steps: int,
    snapshots: Mapping[str, Snapshot],
    curves: Mapping[str, TrainingCurve],
    files: Mapping[str, bytes],
) -> str:
    lines = [f"# {diagnosed.name}, seen from inside", ""]
    lines.append(
        f"One batch of {diagnosed.config.batch_size} names, and two runs of {steps} steps: one from a good start, one "
        f"from a bad start. The bad start multiplies the weights by {BAD_SCALE:g}, and those of the last matrix by "
        f"{BAD_SCALE * BAD_OUTPUT_SCALE:g}. It disables BatchNorm, which would hide the damage."
    )
    lines += [
        "",
        "| | loss of the batch | dev loss after the run | most saturated layer |",
        "| --- | --- | --- | --- |",
    ]
    for title, shot in snapshots.items():
        share, worst = max(((a.share, a.name) for a in shot.activations if a.share is not None), default=(0.0, ""))
        saturated = f"{worst}, {share:.0%}" if worst else ""
        curve = curves.get(title)
        end = f"{curve.dev[-1][1]:.4f}" if curve and curve.dev else ""
        lines.append(f"| {title} | {shot.loss:.4f} | {end} | {saturated} |")
    for name in files:
        lines += ["", f"![{name.partition('.')[0]}]({name})", "", EXPLANATIONS[name]]
    return "\n".join(lines) + "\n"


@click.command("diagnose")
@click.argument("reference")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the pictures."
)
@click.option("--dataset", type=click.Choice(list(CATALOG)), default="human", show_default=True, help="For a preset.")
@click.option(
    "--steps", type=click.IntRange(10, 100_000), default=STEPS, show_default=True, help="Steps of each short run."
)
@store_option
@kernels_option
def diagnose_model(
    reference: str, output: Path, dataset: str, steps: int, store: Location, kernels: Path | None
) -> None:
    """Plot activations, gradients and updates of a network, beside a bad start.

    REFERENCE is a preset, or a version as human/lstm@2. Nothing is published.
    """
    console, registry = Console(), open_registry(store, prepare(kernels))
    refuse_stores(output, registry)
    diagnosed = load_diagnosed(reference, dataset, registry)
    prepare_output(output)
    choose_device("cpu")
    with progress_on(console, time.monotonic) as progress:
        files = diagnose(diagnosed, steps, progress.show)
    write(files, output, registry)
    console.print(Text(f"{len(files) - 1} pictures of {diagnosed.name} and a page about them: {output / 'README.md'}"))
