"""From a finished run to what is published: sample names, plot, card and the draft of a version. Writes no file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from models import Draft, Kernels
from models.publication import draft_generator
from training.card import Card, write_card
from training.invention import Invention, inventions
from training.plots import loss_plot
from training.run import Outcome


@dataclass(frozen=True)
class Finished:
    """A draft ready to publish, and the names that its model invented on the way."""

    draft: Draft
    inventions: list[Invention]


def finish(outcome: Outcome, kernels: Kernels, comparison: Sequence[str] = ()) -> Finished:
    """Return the draft with its card and, for a run of steps, its plot. `comparison`: lines for the card."""
    bare = _bare_draft(outcome)
    drawn = inventions(draft_generator(bare, kernels))
    files = {"card.md": _card(outcome, drawn, comparison).encode()}
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
        training={"preset": job.preset, **hyperparameters, "best_step": outcome.best_step},
        arrays=outcome.network.to_arrays(),
        names=job.corpus.names,
        files={},
    )


def _plot(outcome: Outcome) -> bytes:
    job = outcome.job
    title = f"{job.corpus.dataset}/{job.config.model.architecture}, preset {job.preset}"
    return loss_plot(outcome.history, title, outcome.best_step)


def _card(outcome: Outcome, drawn: Sequence[Invention], comparison: Sequence[str]) -> str:
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
        )
    )
