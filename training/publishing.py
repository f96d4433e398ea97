"""From a finished run to a published version: its draft with card and pictures, and the network of a published one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from data import Split, split_names
from models import Draft, Kernels, ModelError, NameGenerator, Version
from models.networks import Network, build_model
from models.store.checkpoint import NAMES, load_checkpoint
from models.store.publishing import draft_generator
from training.dataset import Examples
from training.errors import TrainingError
from training.evaluation import name_losses, split_losses
from training.invention import Invention, inventions
from training.model_card import Card, write_card
from training.paths import open_registry
from training.plots import loss_plot
from training.quality import draw, likelihood, measure, quality_lines
from training.run import Outcome
from training.run_state import RunState


def publish(draft: Draft, store: Path, kernels: Kernels, state: RunState) -> Version:
    """Publish `draft` into `store`, then remove `state`. Raises `TrainingError` where that fails; the state is kept."""
    try:
        registry = open_registry(store, kernels)
        version = registry.resolve(None, registry.publish(draft).reference)
    except ModelError as error:
        lead = str(error).rstrip(".")
        raise TrainingError(
            f"{lead}. Nothing was published; mend that, then give the same command with --resume: the training is kept."
        ) from error
    state.remove()
    return version


def network_of(version: Version) -> Network:
    """Return the version's network, in evaluation mode. Raises `CheckpointError` where its files were altered."""
    checkpoint = load_checkpoint(version.folder)
    manifest = checkpoint.manifest
    network = build_model(manifest.config, len(manifest.alphabet), torch.Generator())
    network.load_arrays(checkpoint.arrays)
    network.eval()
    return network


def split_of(version: Version) -> Split:
    """Return the split that the version was trained with, from its names and its split seed."""
    names = version.file(NAMES).decode().splitlines()
    return split_names(names, version.manifest.data.split_seed)


def published_losses(version: Version, device: torch.device | str = "cpu") -> dict[str, float]:
    """Return the losses on train, dev and test, in nats per character."""
    network = network_of(version)
    network.to(device)
    return split_losses(network, split_of(version), version.manifest.alphabet, device)


# Names that the quality is measured on.
SAMPLES = 2000


@dataclass(frozen=True)
class Finished:
    """A draft ready to publish, and the names that its model invented on the way."""

    draft: Draft
    inventions: list[Invention]


def finish(
    outcome: Outcome,
    kernels: Kernels,
    comparison: Sequence[str] = (),
    samples: int = SAMPLES,
    pictures: Mapping[str, bytes] | None = None,
) -> Finished:
    """Return the draft with its card and, for a run of steps, its plot.

    `comparison`: lines for the card; `samples`: how many names the quality in the card is measured on; `pictures`: of
    `diagnostics`, by file name.
    """
    bare = _bare_draft(outcome)
    generator = draft_generator(bare, kernels)
    drawn = inventions(generator)
    quality = _quality(outcome, generator, samples)
    pictures = pictures or {}
    card = _card(outcome, drawn, comparison, quality, tuple(pictures))
    files = {"card.md": card.encode(), **pictures}
    if outcome.history.losses:
        files["loss.png"] = _plot(outcome)
    return Finished(replace(bare, files=files), drawn)


def _bare_draft(outcome: Outcome) -> Draft:
    job = outcome.job
    hyperparameters = job.config.hyperparameters()
    return Draft(
        dataset=job.corpus.dataset,
        config=job.config.model,
        vocabulary=job.corpus.vocabulary,
        parameters=outcome.network.parameter_count,
        data=job.corpus.record(),
        seed=job.config.seed,
        metrics=outcome.losses,
        training={"preset": job.preset, **job.origin(), **hyperparameters, "best_step": outcome.best_step},
        arrays=outcome.network.to_arrays(),
        names=job.corpus.names,
        files={},
    )


def _plot(outcome: Outcome) -> bytes:
    job = outcome.job
    title = f"{job.corpus.dataset}/{job.config.model.architecture}, preset {job.preset}"
    return loss_plot(outcome.history, title, outcome.best_step)


def _quality(outcome: Outcome, generator: NameGenerator, samples: int) -> str:
    """Return the card's section on names drawn at temperature 1; nothing for a model that does not end its names."""
    corpus = outcome.job.corpus
    names = draw(generator, samples)
    if not names:
        return ""

    def losses(names: Sequence[str]) -> NDArray[np.float64]:
        return name_losses(outcome.network, Examples.of(names, corpus.vocabulary)).numpy()

    split = corpus.split
    quality = measure(names, split.train, split.dev, listed=split.test)
    return "\n".join(quality_lines(quality, likelihood(losses, names, split.train, split.dev)))


def _card(
    outcome: Outcome,
    drawn: Sequence[Invention],
    comparison: Sequence[str],
    quality: str,
    pictures: Sequence[str],
) -> str:
    return write_card(
        Card(
            corpus=outcome.job.corpus,
            config=outcome.job.config,
            preset=outcome.job.preset,
            parameters=outcome.network.parameter_count,
            losses=outcome.losses,
            best_step=outcome.best_step,
            seconds=outcome.seconds,
            inventions=drawn,
            has_plot=bool(outcome.history.losses),
            comparison=comparison,
            quality=quality,
            pictures=pictures,
            origin=outcome.job.origin(),
        )
    )
