"""From a finished run to what is published: sample names, plot, card and the draft of a version. Writes no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from models import Draft, Kernels, NameGenerator
from models.publication import draft_generator
from training.card import Card, write_card
from training.dataset import Examples
from training.evaluation import name_losses
from training.invention import Invention, inventions
from training.plots import loss_plot
from training.quality import measure, quality_rows, yardstick
from training.run import Outcome

# Names that the quality is measured on, and their seed: another one than that of the names shown.
SAMPLES, QUALITY_SEED = 2000, 1


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


def _quality(outcome: Outcome, generator: NameGenerator, samples: int) -> Sequence[tuple[str, ...]]:
    """Return the card's rows on the names at temperature 1; none for a model that does not end its names."""
    corpus = outcome.job.corpus
    names = generator.generate(samples, seed=QUALITY_SEED, unique=False).names
    if not names:
        return ()
    losses = name_losses(outcome.network, Examples.of(names, corpus.vocabulary))
    model = measure(names, corpus.split.train, corpus.split.dev)
    return quality_rows(model, yardstick(corpus.split.train, corpus.split.dev), -float(losses.mean()))


def _card(
    outcome: Outcome,
    drawn: Sequence[Invention],
    comparison: Sequence[str],
    quality: Sequence[tuple[str, ...]],
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
