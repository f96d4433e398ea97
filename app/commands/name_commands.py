"""`python -m app generate`, `score` and `next`: what the service does, at the command line, with the same options."""

import secrets
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from app.commands.opening import USAGE, settings_of, sources_of
from app.commands.printing import tell_shortfall, write
from app.naming.decency import Decency
from app.naming.drawing import budget, draw, seeded
from app.naming.explaining import Explainer
from app.naming.limits import check
from app.naming.name_lines import NameLines
from app.negotiation import CSV, JSON, NDJSON, TEXT
from app.schemas import ALLOWED, GenerateLink, GenerateQuery, NextQuery, ScoreRequest
from app.settings import Settings
from models.blends import Source
from models.inference import MAX_SEED, PrefixMemory

FORMATS = {"text": TEXT, "csv": CSV, "ndjson": NDJSON, "json": JSON}
Command = TypeVar("Command", bound=Callable[..., Any])
Query = TypeVar("Query", GenerateLink, NextQuery, ScoreRequest)


def _source_options(command: Command) -> Command:
    model = "architecture, architecture@version, architecture@alias or dataset/architecture@version."
    dataset = "Which data set's models (default: human), or a blend: human:0.6,animal:0.4."
    return click.option("--dataset", help=dataset)(click.option("--model", help=model)(command))


@click.command()
@_source_options
@click.option("--count", type=int, default=10, show_default=True, help="How many names.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Below 1 safer, above 1 wilder.")
@click.option("--top-k", type=int, help="Keep the k most probable characters.")
@click.option("--top-p", type=float, help="Keep the fewest characters whose share reaches p.")
@click.option("--seed", type=int, help="Stream of candidates (default: random).")
@click.option("--offset", type=int, default=0, help="First candidate.")
@click.option("--prefix", default="", help="What each name starts with.")
@click.option("--ends-with", default="", help="What each name ends with.")
@click.option("--contains", default="", help="What each name has in it.")
@click.option("--pattern", default="", help="What each name looks like: ? for one character, * for any run.")
@click.option("--excludes", default="", help="Characters that no name has.")
@click.option("--min-length", type=int, default=1, help="Shortest name.")
@click.option("--max-length", type=int, help="Longest name.")
@click.option("--unique/--repeats", default=True, help="No repeats (default), or let them through.")
@click.option("--novel", is_flag=True, help="No names of the model's list.")
@click.option("--safe/--unsafe", default=True, help="No offensive words (default), or let them through.")
@click.option("--case", type=click.Choice(["lower", "title"]), default="title", show_default=True)
@click.option("--sort", type=click.Choice(["drawn", "likelihood"]), default="drawn", show_default=True)
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
    settings = settings_of()
    request = seeded(_query(GenerateLink, options), lambda: secrets.randbelow(MAX_SEED + 1))
    sources = sources_of(settings)
    source, decency = sources.find(request.dataset, request.model), Decency.load(settings, sources.kernels.find)
    if form == "json" or (form == "text" and (request.details or request.sort != "drawn")):
        _print_answer(request, source, settings, decency, as_json=form == "json")
        return
    memory = PrefixMemory(settings.memory)
    lines = NameLines(request, source, FORMATS[form], settings.max_stream_attempts, memory, decency)
    write(lines, sys.stdout.buffer)
    stream = lines.stream
    if not stream.complete:
        tell_shortfall(stream.names, request.count, stream.attempts, stream.refused)


def _print_answer(request: GenerateQuery, source: Source, settings: Settings, decency: Decency, as_json: bool) -> None:
    check(request, JSON)
    answer = draw(request, source, budget(request, settings.max_attempts), PrefixMemory(settings.memory), decency)
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
    else:
        for name in answer.names:
            click.echo(name if isinstance(name, str) else f"{name.name}\t{name.log_prob:.4f}")
    if not answer.complete:
        tell_shortfall(len(answer.names), request.count, answer.attempts, answer.refused)


@click.command()
@_source_options
@click.argument("names", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="The answer of the service.")
def score(as_json: bool, names: tuple[str, ...], **options: Any) -> None:
    """Tell how likely the model finds NAMES: log-probability, perplexity, the nearest name of the list."""
    request = _query(ScoreRequest, {**options, "names": list(names)})
    answer = Explainer().score(request, sources_of(settings_of()).find(request.dataset, request.model))
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
        return
    width = max(len(entry.name) for entry in answer.scores)
    for entry in answer.scores:
        near = f"nearest: {entry.nearest.name} ({entry.nearest.distance})"
        if entry.log_prob is None or entry.perplexity is None:
            click.echo(f"{entry.name:<{width}}  {entry.reason}; {near}")
        else:
            listed = "in the list" if entry.in_training else near
            click.echo(f"{entry.name:<{width}}  {entry.log_prob:9.4f}  perplexity {entry.perplexity:8.2f}  {listed}")


@click.command("next")
@_source_options
@click.option("--prefix", default="", help="What stands before.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Below 1 safer, above 1 wilder.")
@click.option("--json", "as_json", is_flag=True, help="The answer of the service.")
def next_characters(as_json: bool, **options: Any) -> None:
    """Tell what may follow a prefix, the most probable character first; "." is the end of the name."""
    request = _query(NextQuery, options)
    answer = Explainer().next(request, sources_of(settings_of()).find(request.dataset, request.model))
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
        return
    for entry in answer.characters:
        click.echo(f"{entry.character}  {entry.probability:.6f}  {'#' * round(50 * entry.probability)}".rstrip())


def _query(kind: type[Query], options: dict[str, Any]) -> Query:
    """Return the options as a request, or end with a line for each that is out of range."""
    try:
        return kind(**options)
    except ValidationError as error:
        wrong = {str(item["loc"][0]): item["input"] for item in error.errors(include_url=False)}
        for name, given in wrong.items():
            shown = name if name == "names" else f"--{name.replace('_', '-')}"
            click.echo(f"Error: {shown} is {given!r}; allowed: {ALLOWED[name]}.", err=True)
        raise click.exceptions.Exit(USAGE) from None
