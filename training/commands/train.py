"""`python -m training train`: run a training job and publish the version."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from data import ReadOptions
from models import Kernels, ModelConfig, prepare
from models.profanity import ProfanityFilter
from models.store.bucket import Location
from training.config import TrainingConfig, load_config
from training.device import choose_device
from training.diagnostics.diagnose import STEPS, diagnose_run
from training.errors import Interrupted
from training.options import (
    dataset_name,
    hyperparameter_options,
    kernels_option,
    list_options,
    processor_options,
    read_corpus,
    store_option,
)
from training.paths import open_registry, run_folder
from training.pretrained import add_pretrained, count_leaked_names, unknown_characters_warning
from training.progress import progress_on, stop_requests
from training.publishing import build_draft, publish
from training.report import show_losses, show_names, show_publication, show_refusals
from training.run import Job, RunCallbacks, RunResult, run
from training.run_state import RunState
from training.search.short_list import FINE_TUNE, SHORT_LIST, Candidate, candidates, comparison
from training.styles import styles_of
from training.trainer import learned_styles

# The preset where none is given and the list is not short.
PRESET = "wavenet"


@click.command()
@list_options
@click.option(
    "--preset",
    help=f"Hyperparameters: a name, or a file.toml (default: {PRESET}; for a list of up to {SHORT_LIST} names, what is "
    "best on held-out names).",
)
@click.option("--start", metavar="REFERENCE", help="A version to start from, such as human/lstm: for a short list.")
@click.option("--teacher", "teachers", metavar="REFERENCE", multiple=True, help="A version to learn from; repeatable.")
@click.option("--diagnostics", is_flag=True, help="Also publish diagnostic plots; takes a while.")
@click.option("--preview", is_flag=True, help="Say how the list is read, and stop.")
@click.option("--dry-run", is_flag=True, help="Train and print, but publish nothing.")
@click.option("--resume", is_flag=True, help="Continue the interrupted run.")
@click.option("--publish", "finish", is_flag=True, help="Publish the best weights of the interrupted run.")
@click.option("--runs", type=click.Path(path_type=Path), envvar="NAMEWAVE_RUNS", help="Folder of interrupted runs.")
@processor_options
@store_option
@kernels_option
@hyperparameter_options
def train(
    dataset: str | None,
    data: Path | None,
    name: str | None,
    reading: ReadOptions,
    preview: bool,
    finish: bool,
    store: Location,
    kernels: Path | None,
    dry_run: bool,
    diagnostics: bool,
    start: str | None,
    teachers: tuple[str, ...],
    **options: Any,
) -> None:
    """Train on a list of names and publish a version.

    Hyperparameters are a preset's, changed by options.
    """
    console = Console()
    called = dataset_name(dataset, data, name)
    job, state, resume = _prepare(called, data, reading, store, **options)
    _show(console, job.corpus.described())
    _show_styles(console, job)
    if preview:
        return
    ready = prepare(kernels)
    show_refusals(console, ProfanityFilter.load(ready.find).check(job.corpus.names))
    if start is not None or teachers:
        job, state = add_pretrained(job, state, start, teachers, open_registry(store, ready), ready)
    compared: list[str] = []
    if _is_open(options, start, teachers) and len(job.corpus.names) <= SHORT_LIST:
        found = _cross_validate(console, job, ready)
        job, compared = found[0].job, comparison(found)
        if job.preset != FINE_TUNE:
            _show_styles(console, job)
        folder = run_folder(options["runs"], store, called, job.preset)
        state = RunState(folder, job.corpus.sha256, job.config, job.origin())
    _announce(console, job, state, resume or finish)
    result = run_job(job, console, state, resume, finish)
    pictures = _diagnose(result, console) if diagnostics else None
    with progress_on(console, time.monotonic) as progress:
        built = build_draft(result, ready, compared, pictures=pictures, on_progress=progress.count)
    show_losses(console, result.losses)
    _show(console, built.mark_lines)
    show_names(console, built.sampling_stats[-1].names, "New names at temperature 1:")
    if dry_run:
        state.remove()
        console.print("A dry run: nothing was published.")
        return
    show_publication(console, publish(built.draft, store, ready, state))


def _prepare(
    called: str,
    data: Path | None,
    reading: ReadOptions,
    store: Location,
    preset: str | None,
    device: str,
    threads: int,
    runs: Path | None,
    resume: bool,
    **hyperparameters: object,
) -> tuple[Job, RunState, bool]:
    """Return the job, its saved state, and whether to continue from it."""
    chosen = {field: value for field, value in hyperparameters.items() if value is not None}
    config = load_config(preset or PRESET, called, chosen)
    processor = choose_device(device, threads)
    corpus = read_corpus(called, data, config.split_seed, reading)
    job = Job(corpus, config, Path(preset or PRESET).stem, processor)
    return job, RunState(run_folder(runs, store, called, job.preset), corpus.sha256, config), resume


def _show_styles(console: Console, job: Job) -> None:
    """Print the values of the styles that an own list has, or that the network learns none.

    Raises `TrainingError` for a column with too many values.
    """
    if job.corpus.styles is None:
        return
    if job.corpus.table:
        _show(console, [f"  {name}: {', '.join(some)}" for name, some in styles_of(job.corpus.styles).values.items()])
    if not len(learned_styles(job.config, job.corpus)):
        model = job.config.model.architecture
        what = "a run on single positions" if job.config.batch == "windows" else f"the architecture {model}"
        click.echo(f"Warning: {what} learns no styles; they are only kept with the list.", err=True)


def _is_open(options: Mapping[str, Any], start: str | None, teachers: tuple[str, ...]) -> bool:
    """Return whether the model is left open: no preset, version or hyperparameter is given but seeds."""
    fields = (set(ModelConfig.model_fields) | set(TrainingConfig.model_fields) | {"preset"}) - {"seed", "split_seed"}
    return start is None and not teachers and all(options.get(field) is None for field in fields)


def _cross_validate(console: Console, job: Job, kernels: Kernels) -> list[Candidate]:
    """Return the ways to model a short list, the best first, and print them. Raises `Interrupted` after Ctrl-C."""
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:

        def on_progress(done: int, total: int) -> None:
            progress.count("cross-validation", done, total)
            if is_stopped():
                raise Interrupted("Stopped before the first step; nothing was kept.")

        found = candidates(job, kernels, on_progress)
    _show(console, ["a short list: nats per character of held-out names", *(f"  {each}" for each in found)])
    return found


def _announce(console: Console, job: Job, state: RunState, resume: bool) -> None:
    lines = [f"preset {job.preset}: {_shape(job.config)}"]
    if job.start is not None:
        lines.append(f"goes on from {job.start.name}")
        if known := count_leaked_names(job.start, job.corpus):
            lines.append(f"Note: it has seen {known:,} of the dev and test names; their losses will flatter.")
        if job.preset != FINE_TUNE and (warning := unknown_characters_warning(job.start, job.corpus)):
            click.echo(warning, err=True)
    if job.distillation is not None:
        lines.append(f"taught by {', '.join(job.distillation.names)}")
    left = state.step()
    if left is not None and not resume:
        lines.append(
            f"An interrupted run (step {left:,}) lies in {state.folder}; starting again replaces it. To go on "
            "with it instead, press Ctrl-C now and give --resume."
        )
    _show(console, lines)


def _show(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _shape(config: TrainingConfig) -> str:
    model = config.model
    if model.architecture == "bigram":
        return f"bigram by {config.method}"
    return f"{model.architecture}, block_size {model.block_size}, n_embd {model.n_embd}, n_hidden {model.n_hidden}"


def run_job(
    job: Job, console: Console, state: RunState | None = None, resume: bool = False, finish: bool = False
) -> RunResult:
    """Run a job with progress on the console. Raises `Interrupted` after Ctrl-C."""
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:
        callbacks = RunCallbacks(
            on_step=progress.show,
            is_stopped=is_stopped,
            clock=time.monotonic,
            state=state,
            resume=resume or finish,
            finish=finish,
            log=lambda line: console.print(Text(line)),
            on_progress=progress.count,
        )
        return run(job, callbacks)


def _diagnose(result: RunResult, console: Console) -> dict[str, bytes]:
    console.print("Two short runs for the pictures:")
    with progress_on(console, time.monotonic) as progress:
        return diagnose_run(result, STEPS, progress.show)
