"""The command line: serve, generate, score, next, bulk, models, key, openapi, settings, compile.

Errors are single lines.
"""

import errno
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from app.cli.bulk import bulk
from app.cli.names import USAGE_ERROR, generate, next_characters, score
from app.logs import set_up
from app.main import create_app
from app.security.api_keys import generate_key, key_line
from app.server.server import Server, listen, service_url, uvicorn_config
from app.server.workers import run_workers
from app.settings import configuration_page, load_settings
from app.startup import build_app, check_settings, open_registry, warn_of_unknown_variables
from models import ModelError, OptionError
from models.inference import compile_every_level
from models.inference.jit import default_folder
from models.store.bucket import RACERS, Bucket
from models.store.checkpoint import MANIFEST
from models.store.pins import pin_lines


class Commands(click.Group):
    """A group whose commands end with a plain line for each expected error."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ModelError as error:
            for line in str(error).splitlines():
                click.echo(f"Error: {line}", err=True)
            raise click.exceptions.Exit(USAGE_ERROR) from None
        except OSError as error:
            # click ends quietly for a closed pipe.
            if error.errno == errno.EPIPE:
                raise
            click.echo(f"Error: {error.filename or 'the output'} cannot be written: {error.strerror}.", err=True)
            raise click.exceptions.Exit(USAGE_ERROR) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Invent names, over HTTP or here."""


@main.command()
@click.option("--host", help="Address to listen on (NAMEWAVE_HOST).")
@click.option("--port", type=int, help="Port to listen on (NAMEWAVE_PORT).")
@click.option("--root-path", help="Prefix at which a proxy shows the service: /names (NAMEWAVE_ROOT_PATH).")
def serve(host: str | None, port: int | None, root_path: str | None) -> None:
    """Serve names over HTTP.

    Every setting is an environment variable NAMEWAVE_...: `python -m app settings` lists them.
    """
    settings = load_settings(host=host, port=port, root_path=root_path)
    set_up(settings)
    warn_of_unknown_variables(os.environ)
    check_settings(settings)
    listeners = listen(settings)
    # Port 0 means a free one.
    settings = settings.model_copy(update={"port": listeners[0].getsockname()[1]})
    if settings.log_format == "console":
        _greet(service_url(settings))
    if settings.workers > 1:
        sys.exit(run_workers(uvicorn_config(partial(build_app, create_app, settings), settings), listeners))
    server = Server(uvicorn_config(create_app(settings), settings))
    # uvicorn raises the signal that stopped it again after the last answer; then this ends the process.
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, _exit)
    server.handle_hang_up()
    server.run(sockets=listeners)
    sys.exit(0 if server.started else 3)


def _greet(address: str) -> None:
    click.echo(f"Namewave on {address} (documentation: {address}/docs)", err=True)
    click.echo('A first start compiles the sampler, which takes about a minute; the line "ready" ends it.', err=True)
    click.echo(f"Try: curl '{address}/generate?dataset=animal&count=5'", err=True)


def _exit(number: int, frame: object) -> None:
    sys.exit(0)


for command in (generate, score, next_characters, bulk):
    main.add_command(command)


@main.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List versions, move aliases, remove versions."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list")
def list_models() -> None:
    """List all versions and alias targets; refused versions and fallbacks on standard error."""
    registry = open_registry(load_settings())
    for version in registry.versions():
        losses = "  ".join(f"{part} {loss:.4f}" for part, loss in version.manifest.metrics.items())
        click.echo(f"{version.reference:<28}{version.manifest.parameters:>10,} parameters  {losses}")
    for dataset in registry.datasets():
        click.echo(f"{dataset}: {json.dumps(registry.aliases(dataset).as_json())}")
    for reference, reason in registry.refused.items():
        click.echo(f"refused {reference}: {reason}", err=True)
    for line in registry.fallbacks:
        click.echo(f"fallback: {line}", err=True)


@models.command("check-store")
def check_store() -> None:
    """Check that the server of a bucket honours the conditions of writes, on which the store relies."""
    store = load_settings().store
    if isinstance(store, Path):
        raise OptionError(f"NAMEWAVE_STORE is the folder {store}; a bucket is checked: s3://bucket/prefix.")
    Bucket.open(store).check_conditions(RACERS)
    click.echo(
        f"{store} honours conditions: it refused a second create, a stale move, and {RACERS - 1} of {RACERS} racers."
    )


@models.command()
@click.argument("place")
@click.argument("alias")
@click.argument("target")
@click.option("--reason", required=True, help="Why; it is kept with the aliases.")
def alias(place: str, alias: str, target: str, reason: str) -> None:
    """Move an alias: `human default wavenet@2`, or `human/wavenet stable 2`."""
    version = open_registry(load_settings()).alias(place, alias, target, reason)
    click.echo(f"{place} {alias} is now {version.reference}.")


@models.command()
@click.argument("reference")
@click.option("--reason", required=True, help="Why; it is kept with the aliases.")
def remove(reference: str, reason: str) -> None:
    """Remove a version from your own store: `human/wavenet@7`. No alias may point to it."""
    click.echo(f"{open_registry(load_settings()).remove(reference, reason)} is removed; its number is not given again.")


@models.command()
def pins() -> None:
    """Print the pins of all valid versions in the stores, for the file of NAMEWAVE_PINS.

    NAMEWAVE_PINS itself is ignored, so that new versions are included.
    """
    versions = open_registry(load_settings().model_copy(update={"pins": None})).versions()
    click.echo(pin_lines((each.reference, (each.folder / MANIFEST).read_bytes()) for each in versions), nl=False)


@models.command()
@click.argument("reference")
def republish(reference: str) -> None:
    """Publish a version's weights again under a new number.

    For a version that is refused for its sampling number, such as `human/wavenet@1`.
    """
    manifest = open_registry(load_settings()).republish(reference)
    click.echo(f"{reference} is now {manifest.reference}. Its aliases point to the new version.")


@main.command()
@click.argument("name")
def key(name: str) -> None:
    """Create an API key for NAME.

    The line for the file of NAMEWAVE_KEYS goes to standard output, and the key, which is not stored, to standard error.
    """
    key = generate_key()
    click.echo(key_line(name, key))
    click.echo(f"The key, shown only now: {key}", err=True)


@main.command()
def openapi() -> None:
    """Print the OpenAPI document, as docs/openapi.json holds it."""
    click.echo(json.dumps(create_app(load_settings()).openapi(), indent=1, ensure_ascii=False))


@main.command()
def settings() -> None:
    """List all settings, as docs/configuration.md does."""
    click.echo(configuration_page(), nl=False)


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where to keep the code (NAMEWAVE_KERNELS).")
def compile(folder: Path | None) -> None:
    """Compile the kernels ahead of time for every processor level of this machine."""
    place = folder or load_settings().kernels or default_folder()
    click.echo(f"Compiled for {', '.join(compile_every_level(place))} in {place}.")
