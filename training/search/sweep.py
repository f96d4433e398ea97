"""`python -m training sweep`: search hyperparameters with many short runs, one after the other.

The dev loss decides; nothing is published. `study` wraps Optuna and runs one trial.
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from optuna.trial import Trial
from rich.console import Console
from rich.text import Text

from data import ReadOptions
from training.corpus import Corpus
from training.device import choose_device
from training.errors import Interrupted, TrainingError
from training.options import dataset_name, list_options, processor_options, read_corpus
from training.paths import prepare_output, write_output
from training.progress import progress_on, stop_requests
from training.search.study import Result, Row, Study, TrialContext, join_study, open_study, run_trial
from training.search.sweep_plan import SweepPlan, read_plan
from training.search.sweep_report import best_row, best_toml, results_csv, short, show_results, sweep_plot
from training.trainer import new_trainer

FOLDER = Path(".namewave/sweeps")


@click.command()
@click.argument("preset")
@click.option("--trials", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Trials in all.")
@list_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Folder of the sweep (default: {FOLDER}/DATASET-PRESET).",
)
@click.option("--passes", type=click.IntRange(1, 100_000), help="Passes of each trial over the training list.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Same seed, same trials.")
@click.option("--resume", is_flag=True, help="Continue the sweep in the folder.")
@click.option(
    "--storage",
    help="Share the sweep among machines that give the same: the address of a database (postgresql://...), or the path "
    "of a file on a common disk. Together they run --trials; --resume drops those of a machine that crashed.",
)
@processor_options
def sweep(
    preset: str,
    trials: int,
    dataset: str | None,
    data: Path | None,
    name: str | None,
    reading: ReadOptions,
    output: Path | None,
    passes: int | None,
    seed: int,
    resume: bool,
    storage: str | None,
    device: str,
    threads: int,
) -> None:
    """Try many hyperparameters and keep the best as a preset.

    PRESET is a TOML file with a table [sweep], or the name of one that ships.
    """
    called = dataset_name(dataset, data, name)
    plan = read_plan(preset, called, passes)
    corpus = read_corpus(called, data, plan.config({}).split_seed, reading)
    folder = output or FOLDER / f"{called}-{plan.title}"
    marks = {"list of names": corpus.sha256, "preset, range or --passes": plan.digest(), "--seed": str(seed)}
    console = Console()
    lines = [*corpus.described(), f"sweep {plan.title} in {folder}"]
    console.print(Text("\n".join(lines)), soft_wrap=True)
    if storage is None:
        opened = open_study(folder, plan.ranges, seed, marks, resume)
    else:
        prepare_output(folder)
        opened = join_study(storage, f"{called}-{plan.title}", plan.ranges, marks, resume)
    with opened as study:
        _run_trials(console, study, plan, corpus, choose_device(device, threads), trials)
        rows = study.rows()
    if len(rows) < trials:
        console.print(
            Text(f"{len(rows)} of {trials} trials are finished, and others run the rest; then this command shows all."),
            soft_wrap=True,
        )
        return
    _finish(console, rows, plan, folder, called)


def _run_trials(
    console: Console, study: Study, plan: SweepPlan, corpus: Corpus, device: torch.device, trials: int
) -> None:
    """Run trials until `trials` are finished or taken by others. Raises `Interrupted` after a stop request."""
    with stop_requests() as is_stopped:
        while (trial := study.ask(trials)) is not None:
            done = len(study.rows())
            try:
                _run_next(console, study, trial, plan, corpus, device, trials, is_stopped)
            except Interrupted:
                study.drop(trial)
                raise Interrupted(
                    f"Stopped in trial {done + 1} of {trials}; {done} are kept. "
                    f"The same command {'' if study.is_shared else 'with --resume '}continues from here."
                ) from None


def _run_next(
    console: Console,
    study: Study,
    trial: Trial,
    plan: SweepPlan,
    corpus: Corpus,
    device: torch.device,
    trials: int,
    is_stopped: Callable[[], bool],
) -> None:
    number, start = len(study.rows()) + 1, time.monotonic()
    values = ", ".join(f"{field} {short(value)}" for field, value in trial.params.items())
    console.print(Text(f"trial {number} of {trials}: {values}"), soft_wrap=True)

    def is_hopeless(place: int, dev_loss: float) -> bool:
        trial.report(dev_loss, place)
        return trial.should_prune()

    with progress_on(console, time.monotonic) as progress:
        try:
            trainer = new_trainer(plan.config(trial.params), corpus, device)
        except TrainingError as error:
            result = Result("failed", None, str(error))
        else:
            result = run_trial(trainer, TrialContext(progress.show, is_stopped, is_hopeless))
    study.tell(trial, result.verdict, result.dev_loss, time.monotonic() - start, result.note)
    console.print(Text(_outcome(result, best_row(study.rows()))), soft_wrap=True)


def _outcome(result: Result, best: Row | None) -> str:
    if result.dev_loss is None:
        return f"  failed: {result.note}"
    so_far = f" (best so far {best.dev_loss:.4f}, trial {best.number})" if best else ""
    early = ", stopped: worse than half of the others were here" if result.verdict == "pruned" else ""
    return f"  dev {result.dev_loss:.4f}{early}{so_far}"


def _finish(console: Console, rows: list[Row], plan: SweepPlan, folder: Path, called: str) -> None:
    """Print and write the results. Raises `TrainingError` if no trial is complete."""
    fields = list(plan.ranges)
    show_results(console, rows, fields)
    best = best_row(rows)
    files = {"results.csv": results_csv(rows, fields)}
    if best is None:
        write_output(folder, files)
        raise TrainingError(f"None of {len(rows)} trials is complete; narrow the ranges of [sweep].")
    comment = f"Best of {len(rows)} trials on {called}: trial {best.number}, dev loss {best.dev_loss:.4f}."
    files["best.toml"] = best_toml(plan.config(best.values), comment)
    files["sweep.png"] = sweep_plot(rows, plan.ranges, f"Sweep {plan.title} on {called}")
    for path in write_output(folder, files):
        console.print(Text(f"Written: {path}"), soft_wrap=True)
