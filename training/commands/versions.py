"""`python -m training evaluate`, `sample`, `list` and `quantize`: inspect published versions, or publish them again."""

import secrets
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from models import SamplingOptions, Version, prepare
from models.inference import Constraints
from models.kernel.sample import MAX_SEED
from models.store.bucket import Location
from training.device import choose_device
from training.integer_version import quantized_draft
from training.options import kernels_option, processor_options, store_option
from training.paths import open_registry
from training.pretrained import resolve_reference
from training.publishing import published_losses
from training.report import show_losses_beside, show_versions
from training.sampling_stats import mark_lines


def _resolve(reference: str, store: Location, kernels: Path | None) -> Version:
    return resolve_reference(reference, open_registry(store, prepare(kernels)))


@click.command()
@click.argument("reference")
@processor_options
@store_option
@kernels_option
def evaluate(reference: str, device: str, threads: int, store: Location, kernels: Path | None) -> None:
    """Compute the losses of a published version again.

    REFERENCE is human, human/wavenet or human/wavenet@2.
    """
    version = _resolve(reference, store, kernels)
    console = Console()
    console.print(version.reference)
    losses = published_losses(version, choose_device(device, threads))
    show_losses_beside(console, losses, version.manifest.metrics)
    for line in mark_lines(version.generator):
        console.print(Text(line), soft_wrap=True)


@click.command()
@click.argument("reference")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="How many names.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Below 1 safer, above 1 wilder.")
@click.option("--prefix", default="", help="Start of each name.")
@click.option("--seed", type=click.IntRange(0, MAX_SEED), help="Same seed, same names (default: a random one).")
@click.option("--novel", is_flag=True, help="Only names that are not in the list.")
@store_option
@kernels_option
def sample(
    reference: str,
    count: int,
    temperature: float,
    prefix: str,
    seed: int | None,
    novel: bool,
    store: Location,
    kernels: Path | None,
) -> None:
    """Print names of a published version, one per line.

    REFERENCE is human, human/wavenet or human/wavenet@2.
    """
    version = _resolve(reference, store, kernels)
    seed = secrets.randbelow(MAX_SEED + 1) if seed is None else seed
    options = SamplingOptions(temperature=temperature, prefix=prefix)
    batch = version.generator.generate(count, seed=seed, options=options, constraints=Constraints(novel=novel))
    click.echo(f"{version.reference}, seed {seed}", err=True)
    for name in version.generator.spelled(batch.names):
        click.echo(name)
    if not batch.complete:
        click.echo(f"Only {len(batch.names)} of {count} names were found in {batch.attempts:,} attempts.", err=True)


@click.command("list")
@store_option
@kernels_option
def list_versions(store: Location, kernels: Path | None) -> None:
    """List every published version with its aliases and its dev loss."""
    show_versions(Console(), open_registry(store, prepare(kernels)))


@click.command("quantize")
@click.argument("reference")
@store_option
@kernels_option
def quantize(reference: str, store: Location, kernels: Path | None) -> None:
    """Publish a version again with 8-bit integer weights. It is faster, with almost the same losses.

    REFERENCE is an lstm of one layer, e.g. human/lstm@4. The new version becomes `latest`.
    """
    ready, console = prepare(kernels), Console()
    registry = open_registry(store, ready)
    version = resolve_reference(reference, registry)
    draft = quantized_draft(version, registry, ready)
    before, after = version.manifest.metrics, draft.metrics
    for part in after:
        console.print(f"{part}: {before[part]:.4f} with floats, {after[part]:.4f} with integers")
    published = registry.publish(draft)
    console.print(f"published {published.reference}")
