"""`python -m training release`: train and publish everything that ships."""

from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from models import prepare
from training.commands.train import run_job
from training.device import choose_device
from training.options import kernels_option, processor_options, store_option
from training.paths import open_registry
from training.release import ReleaseContext, release_all


@click.command()
@processor_options
@store_option
@kernels_option
def release(device: str, threads: int, store: Path, kernels: Path | None) -> None:
    """Train and publish everything that ships.

    The project itself does so with --store models/artifacts.
    """
    console, ready = Console(), prepare(kernels)
    registry = open_registry(store, ready)
    release_all(
        registry,
        ReleaseContext(
            lambda job: run_job(job, console),
            lambda line: console.print(Text(line), soft_wrap=True),
            choose_device(device, threads),
            ready,
        ),
    )
