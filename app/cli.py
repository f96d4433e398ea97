"""`python -m app`: serve, generate, models, compile. Parses, calls, prints; every error is one line on standard
error.
"""

import errno
import json
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import uvicorn
from pydantic import ValidationError

from app.drawing import budget, draw, seeded
from app.limits import check
from app.main import create_app
from app.name_lines import NameLines
from app.negotiation import CSV, JSON, NDJSON, TEXT
from app.printing import tell_shortfall, write
from app.protocol import HttpProtocol
from app.schemas import ALLOWED, GenerateQuery
from app.settings import Settings
from app.supervision import supervise
from models import ModelError, ModelRegistry, Version, prepare
from models.inference import PrefixMemory, compile_every_level
from models.inference.compiler import default_folder
from models.inference.sampler import MAX_SEED

USAGE = 2
# Seconds: for answers under way when the service is told to stop (Docker waits 15), and without a sign of life of a
# worker, before it is replaced: a start, too, must fit in.
GRACE, SILENCE = 10, 15
FORMATS = {"text": TEXT, "csv": CSV, "ndjson": NDJSON, "json": JSON}


class Commands(click.Group):
    """A group whose commands end with one plain line where something goes wrong that can."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ModelError as error:
            click.echo(f"Error: {error}", err=True)
            raise click.exceptions.Exit(USAGE) from None
        except OSError as error:
            # A closed pipe ends quietly: click sees to it.
            if error.errno == errno.EPIPE:
                raise
            click.echo(f"Error: {error.filename or 'the output'} cannot be written: {error.strerror}.", err=True)
            raise click.exceptions.Exit(USAGE) from None


def _settings(**given: Any) -> Settings:
    """Return the settings, or end with a line for each that is wrong."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for item in error.errors(include_url=False):
            name = "_".join(map(str, item["loc"])).upper()
            click.echo(f"Error: NAMEWAVE_{name} is {item['input']!r}: {item['msg']}.", err=True)
        raise click.exceptions.Exit(USAGE) from None


def _registry(settings: Settings) -> ModelRegistry:
    return ModelRegistry.open(prepare(settings.kernels), settings.store, settings.shipped_store)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Invent names: over HTTP, or here."""


@main.command()
@click.option("--host", help="Address to listen on (NAMEWAVE_HOST).")
@click.option("--port", type=int, help="Port to listen on (NAMEWAVE_PORT).")
def serve(host: str | None, port: int | None) -> None:
    """Serve names over HTTP."""
    settings = _settings(host=host, port=port)
    listener = _listen(settings)
    address, number = listener.getsockname()[:2]
    shown = "127.0.0.1" if address in ("0.0.0.0", "::") else address
    click.echo(f"Namewave on http://{shown}:{number} (documentation: http://{shown}:{number}/docs)", err=True)
    click.echo(
        "A first start compiles the sampler, which takes some ten seconds; the line with [ready] ends it.", err=True
    )
    click.echo(f"Try: curl 'http://{shown}:{number}/generate?dataset=animal&count=5'", err=True)
    if settings.workers > 1:
        sys.exit(supervise(_config(partial(create_app, settings), settings.workers), listener))
    server = uvicorn.Server(_config(create_app(settings)))
    # uvicorn raises the signal that stopped it once more, after the last answer: then this ends the process, as asked.
    for wish in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wish, _end)
    server.run(sockets=[listener])
    sys.exit(0 if server.started else 3)


def _config(app: Callable[..., Any], workers: int = 1) -> uvicorn.Config:
    """Return how uvicorn serves `app`, which is a factory where there are several workers."""
    return uvicorn.Config(
        app,
        factory=workers > 1,
        workers=workers,
        http=HttpProtocol,
        access_log=False,
        log_level="warning",
        lifespan="on",
        # A client that does not take its stream must not keep the process from ending.
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=SILENCE,
    )


def _end(number: int, frame: object) -> None:
    sys.exit(0)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        click.echo(
            f"Error: cannot listen on {settings.host}:{settings.port}: {error.strerror}. Another port: --port 8001.",
            err=True,
        )
        raise click.exceptions.Exit(USAGE) from None
    listener.set_inheritable(True)
    return listener


@main.command()
@click.option("--dataset", help="Which data set's models (default: human).")
@click.option("--model", help="architecture, architecture@version, architecture@alias or dataset/architecture@version.")
@click.option("--count", type=int, default=10, show_default=True, help="How many names.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Below 1 safer, above 1 wilder.")
@click.option("--top-k", type=int, help="Keep the k most probable characters.")
@click.option("--top-p", type=float, help="Keep the fewest characters whose share reaches p.")
@click.option("--seed", type=int, help="Stream of candidates (default: random).")
@click.option("--offset", type=int, default=0, help="First candidate.")
@click.option("--prefix", default="", help="What each name starts with.")
@click.option("--min-length", type=int, default=1, help="Shortest name.")
@click.option("--max-length", type=int, help="Longest name.")
@click.option("--unique/--repeats", default=True, help="No repeats (default), or let them through.")
@click.option("--novel", is_flag=True, help="No names of the model's list.")
@click.option("--case", type=click.Choice(["lower", "title"]), default="title", show_default=True)
@click.option("--details", is_flag=True, help="With the log-probability of each character.")
@click.option("--max-attempts", type=int, help="Most candidates to draw.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="One name a line, CSV, an object a line, or the answer of the service. JSON holds 10,000 names at most, the "
    "others 1,000,000, with --repeats above 10,000.",
)
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
def generate(form: str, **options: Any) -> None:
    """Invent names, one a line."""
    settings = _settings()
    request = seeded(_request(options), lambda: secrets.randbelow(MAX_SEED + 1))
    version = _registry(settings).resolve(request.dataset, request.model)
    if form == "json" or (form == "text" and request.details):
        _print_answer(request, version, settings, as_json=form == "json")
        return
    lines = NameLines(request, version, FORMATS[form], settings.max_stream_attempts, PrefixMemory(settings.memory))
    write(lines, sys.stdout.buffer)
    stream = lines.stream
    if not stream.complete:
        tell_shortfall(stream.names, request.count, stream.attempts, stream.refused)


def _print_answer(request: GenerateQuery, version: Version, settings: Settings, as_json: bool) -> None:
    check(request, JSON)
    answer = draw(request, version, budget(request, settings.max_attempts), PrefixMemory(settings.memory))
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
    else:
        for name in answer.names:
            click.echo(name if isinstance(name, str) else f"{name.name}\t{name.log_prob:.4f}")
    if not answer.complete:
        tell_shortfall(len(answer.names), request.count, answer.attempts, answer.refused)


def _request(options: dict[str, Any]) -> GenerateQuery:
    """Return the options as a request, or end with a line for each that is out of range."""
    try:
        return GenerateQuery(**options)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            name = str(item["loc"][0])
            click.echo(f"Error: --{name.replace('_', '-')} is {item['input']!r}; allowed: {ALLOWED[name]}.", err=True)
        raise click.exceptions.Exit(USAGE) from None


@main.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List versions, move aliases, remove versions."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list")
def list_models() -> None:
    """List all versions and what the aliases mean; on standard error, what is refused and what stands in."""
    registry = _registry(_settings())
    for version in registry.versions():
        losses = "  ".join(f"{part} {loss:.4f}" for part, loss in version.manifest.metrics.items())
        click.echo(f"{version.reference:<28}{version.manifest.parameters:>10,} parameters  {losses}")
    for dataset in registry.datasets():
        click.echo(f"{dataset}: {json.dumps(registry.aliases(dataset).as_json())}")
    for reference, reason in registry.refused.items():
        click.echo(f"refused {reference}: {reason}", err=True)
    for line in registry.stand_ins:
        click.echo(f"stands in: {line}", err=True)


@models.command()
@click.argument("place")
@click.argument("alias")
@click.argument("target")
@click.option("--reason", required=True, help="Why; it is kept with the aliases.")
def alias(place: str, alias: str, target: str, reason: str) -> None:
    """Move an alias: `human default wavenet@2`, or `human/wavenet stable 2`."""
    version = _registry(_settings()).alias(place, alias, target, reason)
    click.echo(f"{place} {alias} is now {version.reference}.")


@models.command()
@click.argument("reference")
@click.option("--reason", required=True, help="Why; it is kept with the aliases.")
def remove(reference: str, reason: str) -> None:
    """Remove a version from your own store: `human/wavenet@7`, which no alias may point to."""
    click.echo(f"{_registry(_settings()).remove(reference, reason)} is removed; its number is not given again.")


@models.command()
@click.argument("reference")
def republish(reference: str) -> None:
    """Publish a version's weights again under a new number: `human/wavenet@1`, refused for its sampling number."""
    manifest = _registry(_settings()).republish(reference)
    click.echo(f"{reference} is now {manifest.reference}, and so is every alias that meant it.")


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where to keep the code (NAMEWAVE_KERNELS).")
def compile(folder: Path | None) -> None:
    """Compile the kernels ahead of time, for every processor level of this machine's kind."""
    place = folder or _settings().kernels or default_folder()
    click.echo(f"Compiled for {', '.join(compile_every_level(place))} in {place}.")
