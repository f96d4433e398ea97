"""What every command of `python -m app` begins with: settings and registry, or one plain line of what is wrong."""

import os
from typing import Any

import click
import structlog
from pydantic import ValidationError

from app.commands.variables import unknown_variables, wrong_values
from app.naming.sources import Sources
from app.settings import Settings
from models import ModelRegistry, prepare
from models.blends import Blender
from models.pins import Pins

USAGE = 2


def settings_of(**given: Any) -> Settings:
    """Return the settings, those that are `given` before the environment's, or end with a line for each that is
    wrong.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for line in wrong_values(error):
            click.echo(f"Error: {line}", err=True)
        raise click.exceptions.Exit(USAGE) from None


def warn_of_unknown() -> None:
    """Log a warning for each variable NAMEWAVE_... that is no setting. It may be another's, such as those that
    Kubernetes sets for a Service called namewave: no error. Its value is not told, which may be a secret.
    """
    for name, nearest in unknown_variables(os.environ):
        meant = {"nearest": nearest} if nearest else {}
        structlog.get_logger().warning("no such setting: it is ignored", variable=name, **meant)


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
