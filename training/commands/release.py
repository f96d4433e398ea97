"""`python -m training release`: train and publish the models that ship."""

from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from data import CATALOG
from models import prepare
from models.store.bucket import Location
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
    "--trained",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".namewave/release"),
    show_default=True,
    help="Folder of trained networks: a release that was interrupted goes on with them.",
)
@kernels_option
def publish_release(
    datasets: tuple[str, ...], device: str, threads: int, store: Location, trained: Path, kernels: Path | None
) -> None:
    """Train and publish the models of shipped lists.

    DATASETS are all lists by default. The project itself does so with --store models/artifacts.
    """
    console, ready = Console(), prepare(kernels)
    context = ReleaseContext(
        lambda job: run_job(job, console),
        lambda line: console.print(Text(line), soft_wrap=True),
        choose_device(device, threads),
        ready,
    )
    registry, before = open_registry(store, ready), open_registry(trained, ready)
    for dataset in datasets or CATALOG:
        release(dataset, registry, before, context)
