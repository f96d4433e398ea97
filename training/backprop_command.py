"""`python -m training backprop-check`: every gradient by hand beside autograd's, and a training by each. A gradient
that is wrong ends the command with an error. The arithmetic is `backprop`, `backprop_check` and `backprop_race`.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.backprop import cross_entropy_backward
from training.backprop_check import Row, check
from training.backprop_plot import backprop_plot
from training.backprop_race import HandTrainer, StepPair, race, start
from training.config import TrainingConfig, load_config
from training.corpus import Corpus
from training.dataset import Windows
from training.device import choose_device
from training.errors import Interrupted, TrainingError
from training.glyphs import symbol_of
from training.interruption import stop_requests
from training.list_options import one_list, one_list_options
from training.output import prepare_picture, write_output
from training.progress import progress_on
from training.trainer import Step, Trainer

PRECISIONS = {"double": torch.float64, "single": torch.float32}
# How far apart the two dev losses may end. Rounding grows from step to step; with single precision it may reach digits
# that one sees.
AGREEMENT = {torch.float64: 1e-6, torch.float32: 1e-3}
# Architectures with a rule by hand for every layer, and the preset that each takes its hyperparameters from.
PRESETS = {"mlp": "mlp-lecture", "wavenet": "wavenet-lecture"}
STEPS = 2000
LAPS = 10


@click.command("backprop-check")
@one_list_options
@click.option(
    "--architecture", type=click.Choice(list(PRESETS)), default="mlp", show_default=True, help="What is trained."
)
@click.option(
    "--precision", type=click.Choice(list(PRECISIONS)), default="double", show_default=True, help="Of every number."
)
@click.option(
    "--steps", type=click.IntRange(1, 1_000_000), default=STEPS, show_default=True, help="Of the two trainings."
)
@click.option("--out", type=click.Path(path_type=Path), help="Draw the trainings, as a PNG file.")
def command(dataset: str, data: Path | None, architecture: str, precision: str, steps: int, out: Path | None) -> None:
    """Compare the backward pass written by hand with autograd's.

    First for every tensor of one batch, then in two trainings from the same start: one by hand alone, one by autograd.
    """
    changes = {"steps": steps, "eval_every": max(1, steps // LAPS)}
    config = load_config(PRESETS[architecture], dataset if data is None else "own", changes)
    corpus = one_list(dataset, data, config.split_seed)
    if out is not None:
        prepare_picture(out)
    console, dtype = Console(), PRECISIONS[precision]
    choose_device("cpu")
    by_hand, by_autograd = start(config, corpus, dtype)
    batch = _batch(config, corpus, dtype)
    rows = check(by_hand.network, batch)
    console.print(_table(rows, precision))
    _refuse_wrong(rows)
    steps_compared = _race(console, by_hand, by_autograd)
    console.print(_step_table(steps_compared))
    for line in _words(rows, steps_compared, by_hand, by_autograd):
        console.print(Text(line), soft_wrap=True)
    if out is not None:
        symbols = [symbol_of(character) for character in corpus.vocabulary.itos]
        picture = backprop_plot(_pulls(by_hand, batch), batch.targets.tolist(), symbols, steps_compared)
        write_output(out.parent, {out.name: picture}, "--out")
        console.print(Text(f"Written: {out}"), soft_wrap=True)
    _refuse_apart(by_hand, by_autograd, AGREEMENT[dtype])


def _batch(config: TrainingConfig, corpus: Corpus, dtype: torch.dtype) -> Windows:
    """Return the batch that both trainings begin with."""
    batch = start(config, corpus, dtype)[0].batches.draw()
    if not isinstance(batch, Windows):
        raise TrainingError("The preset has whole names for batches; the backward pass by hand goes over windows.")
    return batch


def _pulls(trainer: Trainer, batch: Windows) -> torch.Tensor:
    """Return what the loss of the trained network says to the logits of its first batch, (B, V)."""
    with torch.no_grad():
        return cross_entropy_backward(trainer.network.windows(batch.X), batch.targets)


def _table(rows: Sequence[Row], precision: str) -> Table:
    """Return the table of all gradients, a section for each part."""
    table = Table(title=f"Gradients by hand beside autograd's, {precision} precision", title_justify="left")
    table.add_column("\ngradient of", no_wrap=True)
    for head in ("\nshape", "\nexact", "\napproximate", "largest\ndifference"):
        table.add_column(head, justify="right")
    part = ""
    for row in rows:
        if row.part != part:
            part = row.part
            table.add_section()
            table.add_row(Text(part, style="bold"))
        marks = (_yes(row.exact), _yes(row.close))
        table.add_row(f"  {row.name}", "x".join(map(str, row.shape)), *marks, _small(row.apart))
    return table


def _small(difference: float) -> str:
    return f"{difference:.1e}" if difference else "0"


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _refuse_wrong(rows: Sequence[Row]) -> None:
    if wrong := [f"{row.name} ({row.part}) by {row.apart:.1e}" for row in rows if not row.close]:
        raise TrainingError(
            f"{len(wrong)} of {len(rows)} gradients by hand are not autograd's: {', '.join(wrong)}. Correct the rules "
            "in training/backprop.py and training/backprop_steps.py; the first wrong one on the way back is to blame."
        )


def _race(console: Console, by_hand: HandTrainer, by_autograd: Trainer) -> list[StepPair]:
    steps_compared: list[StepPair] = []
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:

        def show(step: Step) -> None:
            if is_stopped():
                raise Interrupted(f"Stopped after step {step.step:,} of {step.total:,}; nothing was written.")
            progress.show(step)

        steps_compared.extend(race(by_hand, by_autograd, show))
    return steps_compared


def _step_table(steps_compared: Sequence[StepPair]) -> Table:
    """Return the table of both trainings, a row wherever the dev loss was measured."""
    table = Table(title="Two trainings, same start, same batches: dev loss", title_justify="left")
    for head in ("step", "by hand", "by autograd", "losses apart", "weights apart at most"):
        table.add_column(head, justify="right")
    for pair in steps_compared:
        one, other = pair.by_hand.dev_loss, pair.by_autograd.dev_loss
        if one is not None and other is not None:
            losses = (f"{one:.6f}", f"{other:.6f}", _small(abs(one - other)))
            table.add_row(f"{pair.by_hand.step:,}", *losses, _small(pair.apart))
    return table


def _words(
    rows: Sequence[Row], steps_compared: Sequence[StepPair], by_hand: Trainer, by_autograd: Trainer
) -> list[str]:
    exact = sum(row.exact for row in rows)
    close = sum(row.close for row in rows)
    return [
        f"gradients compared: {len(rows)}",
        f"gradients that agree: {close}",
        f"gradients that are the same to the bit: {exact}",
        f"largest difference of a gradient: {_small(max(row.apart for row in rows))}",
        f"largest difference of a weight after {len(steps_compared):,} steps: {_small(steps_compared[-1].apart)}",
        f"dev loss by hand: {by_hand.best_loss:.4f}",
        f"dev loss by autograd: {by_autograd.best_loss:.4f}",
        f"difference of the dev losses: {_small(abs(by_hand.best_loss - by_autograd.best_loss))}",
    ]


def _refuse_apart(by_hand: Trainer, by_autograd: Trainer, most: float) -> None:
    apart = abs(by_hand.best_loss - by_autograd.best_loss)
    if not apart <= most:
        raise TrainingError(
            f"The two trainings ended {apart:.1e} apart in dev loss; rounding alone allows {most:.0e}. One of them "
            "got other gradients or other batches on the way."
        )
