"""From a finished run to what is published: sample names, plot, card and the draft of a version. Writes no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models import Draft, Kernels, NameGenerator
from models.store.publishing import draft_generator
from training.card import Card, write_card
from training.dataset import Examples
from training.evaluation import name_losses
from training.invention import Invention, inventions
from training.plots import loss_plot
from training.quality import draw, likelihood, measure
from training.quality_table import quality_lines
from training.run import Outcome

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
