"""`python -m training quantize`: publish a version again with integer weights."""

from pathlib import Path

import click
from rich.console import Console

from models import prepare
from models.store.bucket import Location
from training.integer_version import quantized_draft
from training.options import kernels_option, store_option
from training.paths import open_registry
from training.pretrained import resolve_reference


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
