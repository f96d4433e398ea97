"""Build and publish a version from a finished run, and load the network of a published version."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from data import CATALOG, Split, StyleRows, split_names
from models import Draft, Kernels, ModelError, NameGenerator, Version
from models.kernel.int8.model import has_integers
from models.networks import Network, build_model
from models.store.bucket import Location
from models.store.checkpoint import CASING, NAMES, TABLE, load_checkpoint
from models.store.publishing import draft_generator
from models.styles import Styles
from training import quantization
from training.casing import casing_file
from training.corpus import shipped_corpus
from training.dataset import Examples
from training.errors import TrainingError
from training.evaluation import mean_loss, measured, name_losses, split_losses
from training.model_card import Card, write_card
from training.paths import open_registry
from training.plots import loss_plot
from training.quality import draw, likelihood, measure, quality_lines
from training.run import STYLED_DEV, RunResult
from training.run_state import RunState
from training.sampling_stats import SamplingStats, mark_lines, names_by_style, sampling_stats
from training.styles import StyleTable
from training.trainer import learned_styles

# What a manifest's `training` calls the version whose weights were rounded to integers.
QUANTIZED = "quantized"


def publish(draft: Draft, store: Location, kernels: Kernels, state: RunState) -> Version:
    """Publish `draft` into `store`, then remove `state`.

    Raises `TrainingError` on failure and keeps the state.
    """
    try:
        registry = open_registry(store, kernels)
        version = registry.resolve(None, registry.publish(draft).reference)
    except ModelError as error:
        lead = str(error).rstrip(".")
        raise TrainingError(
            f"{lead}. Nothing was published. Fix this, then repeat the command with --resume; the run is kept."
        ) from error
    state.remove()
    return version


def load_network(version: Version) -> Network:
    """Return the version's network in evaluation mode.

    Raises `CheckpointError` if its files were altered, `TrainingError` if its weights are integers.
    """
    checkpoint = load_checkpoint(version.folder)
    manifest = checkpoint.manifest
    if has_integers(checkpoint.arrays):
        trained = manifest.training.get(QUANTIZED, "the version that was trained")
        raise TrainingError(f"{version.reference} has integer weights; give {trained}, which has the trained ones.")
    n_styles = len(version.generator.styles)
    network = build_model(manifest.config, len(manifest.alphabet), torch.Generator(), n_styles)
    network.load_arrays(checkpoint.arrays)
    network.eval()
    return network


def recreate_split(version: Version) -> Split:
    """Return the split of the version's training run, from its names and split seed."""
    names = version.file(NAMES).decode().splitlines()
    return split_names(names, version.manifest.data.split_seed)


def style_rows(version: Version) -> StyleRows | None:
    """Return the rows of values that the version's names have; None without styles, and for a list that is not here."""
    manifest = version.manifest
    if not manifest.styles:
        return None
    if TABLE in manifest.files:
        header, *rows = (line.split("\t") for line in version.file(TABLE).decode().removesuffix("\n").split("\n"))
        return StyleRows(
            tuple(header[1:-1]), tuple(tuple(row[:-1]) for row in rows), tuple(float(row[-1]) for row in rows)
        )
    if version.dataset not in CATALOG:
        return None
    corpus = shipped_corpus(version.dataset, manifest.data.split_seed)
    return corpus.styles if corpus.sha256 == manifest.data.sha256 else None


def published_losses(version: Version, device: torch.device | str = "cpu") -> dict[str, float]:
    """Return the losses on train, dev and test, and on dev with styles if there are any, in nats per character.

    Integer weights use the processor.
    """
    config, split, vocabulary = version.manifest.config, recreate_split(version), version.manifest.alphabet
    dev, rows = measured(split).dev, style_rows(version)
    table = None if rows is None else StyleTable.of(dev, rows, Styles(version.manifest.styles or {}))
    arrays = version.arrays()
    if has_integers(arrays):
        losses = quantization.split_losses(config, arrays, split, vocabulary)
        if table is not None:
            losses[STYLED_DEV] = quantization.styled_loss(config, arrays, dev, vocabulary, table)
        return losses
    network = load_network(version)
    network.to(device)
    losses = split_losses(network, split, vocabulary, device)
    if table is not None:
        losses[STYLED_DEV] = mean_loss(network, Examples.of(dev, vocabulary), device, table)
    return losses


# Names sampled to measure the quality.
SAMPLES = 2000


@dataclass(frozen=True)
class BuiltDraft:
    """A draft that is ready to publish, the sampling statistics in its card, and lines on combining marks."""

    draft: Draft
    sampling_stats: list[SamplingStats]
    mark_lines: list[str]


def build_draft(
    result: RunResult,
    kernels: Kernels,
    comparison: Sequence[str] = (),
    samples: int = SAMPLES,
    pictures: Mapping[str, bytes] | None = None,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> BuiltDraft:
    """Return the draft with its card and, for a gradient run, its plot.

    `comparison`: lines for the card; `samples`: number of names that the card's quality section measures; `pictures`:
    the plots of `diagnostics`, by file name. `on_progress` receives the work, and how much of it is done.
    """
    bare = _bare_draft(result)
    on_progress("measuring the names", 0, 3)
    generator = draft_generator(bare, kernels)
    on_progress("measuring the names", 1, 3)
    drawn = sampling_stats(generator)
    on_progress("measuring the names", 2, 3)
    quality = _quality(result, generator, samples)
    on_progress("measuring the names", 3, 3)
    pictures = pictures or {}
    card = _card(result, drawn, comparison, quality, tuple(pictures), names_by_style(generator))
    files = {**bare.files, "card.md": card.encode(), **pictures}
    if result.job.corpus.table:
        files[TABLE] = result.job.corpus.table.encode()
    if result.history.losses:
        files["loss.png"] = _plot(result)
    return BuiltDraft(replace(bare, files=files), drawn, mark_lines(generator))


def _bare_draft(result: RunResult) -> Draft:
    job = result.job
    hyperparameters = job.config.hyperparameters()
    return Draft(
        dataset=job.corpus.dataset,
        config=job.config.model,
        vocabulary=job.corpus.vocabulary,
        parameters=result.network.parameter_count,
        data=job.corpus.record(),
        seed=job.config.seed,
        metrics=result.losses,
        training={"preset": job.preset, **job.origin(), **hyperparameters, "best_step": result.best_step},
        arrays=result.network.to_arrays(),
        names=job.corpus.names,
        files={CASING: casing_file(job.corpus.casing)} if job.corpus.casing else {},
        styles=learned_styles(job.config, job.corpus),
    )


def _plot(result: RunResult) -> bytes:
    job = result.job
    title = f"{job.corpus.dataset}/{job.config.model.architecture}, preset {job.preset}"
    return loss_plot(result.history, title, result.best_step)


def _quality(result: RunResult, generator: NameGenerator, samples: int) -> str:
    """Return the card's section on names sampled at temperature 1; empty if the model never ends a name."""
    corpus = result.job.corpus
    names = draw(generator, samples)
    if not names:
        return ""

    def losses(names: Sequence[str]) -> NDArray[np.float64]:
        return name_losses(result.network, Examples.of(names, corpus.vocabulary)).numpy()

    split, part = corpus.split, measured(corpus.split)
    quality = measure(names, split.train, split.dev, listed=split.test)
    return "\n".join(quality_lines(quality, likelihood(losses, names, part.train, part.dev, corpus.vocabulary.split)))


def _card(
    result: RunResult,
    drawn: Sequence[SamplingStats],
    comparison: Sequence[str],
    quality: str,
    pictures: Sequence[str],
    by_style: Mapping[str, Sequence[str]],
) -> str:
    return write_card(
        Card(
            corpus=result.job.corpus,
            config=result.job.config,
            preset=result.job.preset,
            parameters=result.network.parameter_count,
            losses=result.losses,
            best_step=result.best_step,
            seconds=result.seconds,
            sampling_stats=drawn,
            has_plot=bool(result.history.losses),
            comparison=comparison,
            quality=quality,
            pictures=pictures,
            origin=result.job.origin(),
            by_style=by_style,
        )
    )
