"""`python -m training release`: train and publish the models that ship."""

from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from data import CATALOG
from models import prepare
from training.commands.train import run_job
from training.device import choose_device
from training.options import kernels_option, processor_options, store_option
from training.paths import open_registry
from training.release import ReleaseContext, release


@click.command("release")
@click.argument("datasets", nargs=-1, type=click.Choice(list(CATALOG)))
@processor_options
@store_option
@click.option(
    "--teachers",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".namewave/teachers"),
    show_default=True,
    help="Folder of the large models, which a later release uses again.",
)
@kernels_option
def publish_release(
    datasets: tuple[str, ...], device: str, threads: int, store: Path, teachers: Path, kernels: Path | None
) -> None:
    """Train and publish the models of DATASETS, or of all shipped lists.

    The project itself does so with --store models/artifacts.
    """
    console, ready = Console(), prepare(kernels)
    context = ReleaseContext(
        lambda job: run_job(job, console),
        lambda line: console.print(Text(line), soft_wrap=True),
        choose_device(device, threads),
        ready,
    )
    registry, large = open_registry(store, ready), open_registry(teachers, ready)
    for dataset in datasets or CATALOG:
        release(dataset, registry, large, context)
