"""What every command of `python -m app` begins with: settings and registry, or one plain line of what is wrong."""

from typing import Any

import click
from pydantic import ValidationError

from app.naming.sources import Sources
from app.settings import Settings
from models import ModelRegistry, prepare
from models.blends import Blender
from models.pins import Pins

USAGE = 2


def settings_of(**given: Any) -> Settings:
    """Return the settings, or end with a line for each that is wrong."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for item in error.errors(include_url=False):
            name = "_".join(map(str, item["loc"])).upper()
            click.echo(f"Error: NAMEWAVE_{name} is {item['input']!r}: {item['msg']}.", err=True)
        raise click.exceptions.Exit(USAGE) from None


def registry_of(settings: Settings) -> ModelRegistry:
    """Return the registry over both stores."""
    return ModelRegistry.open(prepare(settings.kernels), settings.store, settings.shipped_store, pins_of(settings))


def pins_of(settings: Settings) -> Pins | None:
    """Return the pinned manifests, None without the setting. Raises `StoreError`."""
    return None if settings.pins is None else Pins.read(settings.pins)


def sources_of(settings: Settings) -> Sources:
    """Return what finds versions and blends."""
    registry = registry_of(settings)
    return Sources(registry, Blender(registry.kernels))
