"""The commands `generate`, `score` and `next`, with the options of the service."""

import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, TypeVar

import click
from pydantic import ValidationError

from app.names.generation import SamplerCache, with_seed
from app.names.jobs import GenerateJob, SamplingJob, StreamJob
from app.names.scoring import ByStyle, Scorer, add_by_style
from app.names.sources import SourceResolver
from app.responses import GenerateAnswer
from app.schemas import ALLOWED, GenerateLink, GenerateQuery, NextQuery, ScoreRequest
from app.settings import Settings, load_settings
from app.startup import open_registry
from app.web.negotiation import CSV, JSON, NDJSON, TEXT
from models.blends import Blender, Source
from models.inference import MAX_SEED, PrefixMemory
from models.profanity import ProfanityFilter

USAGE_ERROR = 2
# Names below this number are there before one can read a progress bar.
PROGRESS_FROM = 1000
FORMATS = {"text": TEXT, "csv": CSV, "ndjson": NDJSON, "json": JSON}
Command = TypeVar("Command", bound=Callable[..., Any])
Query = TypeVar("Query", GenerateLink, NextQuery, ScoreRequest)


def source_options(command: Command) -> Command:
    """Add the options that choose a data set, a model and styles."""
    model = "architecture, architecture@version, architecture@alias or dataset/architecture@version."
    dataset = "Which data set's models (default: human), or a blend: human:0.6,animal:0.4."
    style = "Values of the model's styles: gender:feminine,decade:1920; repeatable."
    command = click.option("--style", multiple=True, callback=_joined, help=style)(command)
    return click.option("--dataset", help=dataset)(click.option("--model", help=model)(command))


def _joined(context: click.Context, option: click.Parameter, styles: tuple[str, ...]) -> str | None:
    return ",".join(styles) if styles else None


def sampling_options(command: Command) -> Command:
    """Add the options that say how candidates are drawn, refused and spelled."""
    options = (
        click.option(
            "--temperature", type=float, default=1.0, show_default=True, help="Below 1 safer, above 1 wilder."
        ),
        click.option("--top-k", type=int, help="Keep the k most probable characters."),
        click.option("--top-p", type=float, help="Keep the fewest characters whose share reaches p."),
        click.option("--seed", type=int, help="Stream of candidates (default: random)."),
        click.option("--offset", type=int, default=0, help="First candidate."),
    )
    return _with_options(constraint_options(command), options)


def constraint_options(command: Command) -> Command:
    """Add the options that say which names are refused and how they are spelled."""
    options = (
        click.option("--prefix", default="", help="What each name starts with."),
        click.option("--ends-with", default="", help="What each name ends with."),
        click.option("--contains", default="", help="What each name has in it."),
        click.option("--pattern", default="", help="What each name looks like: ? for one character, * for any run."),
        click.option("--excludes", default="", help="Characters that no name has."),
        click.option("--min-length", type=int, default=1, help="Shortest name."),
        click.option("--max-length", type=int, help="Longest name."),
        click.option("--novel", is_flag=True, help="No names of the model's list."),
        click.option("--safe/--unsafe", default=True, help="No offensive words (default), or let them through."),
        click.option(
            "--case",
            type=click.Choice(["list", "title", "lower"]),
            default="list",
            show_default=True,
            help="Spelling: as in the list, capitals at the start of words, or lower case.",
        ),
    )
    return _with_options(command, options)


def _with_options(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@source_options
@click.option("--count", type=int, default=10, show_default=True, help="How many names.")
@sampling_options
@click.option("--unique/--repeats", default=True, help="No repeats (default), or let them through.")
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
    """Invent names, one per line."""
    settings = load_settings()
    request = with_seed(query(GenerateLink, options), lambda: secrets.randbelow(MAX_SEED + 1))
    sources = _open_sources(settings)
    source = sources.find(request.dataset, request.model, request.style)
    samplers = SamplerCache(
        ProfanityFilter.load(sources.registry.kernels.find, settings.unsafe_words, settings.safe_words)
    )
    if form == "json" or (form == "text" and (request.details or request.sort != "drawn")):
        _print_answer(request, source, settings, samplers, as_json=form == "json")
        return
    memory = PrefixMemory(settings.memory)
    job = StreamJob(request, source, settings.max_stream_attempts, memory, samplers, media=FORMATS[form])
    _write(job, sys.stdout.buffer)
    _report_shortfall(job)


def _open_sources(settings: Settings) -> SourceResolver:
    registry = open_registry(settings)
    return SourceResolver(registry, Blender(registry.kernels))


def _write(job: StreamJob, out: BinaryIO) -> None:
    """Write all lines, with a progress bar if only standard error is a terminal."""
    if job.request.count <= PROGRESS_FROM or not sys.stderr.isatty() or sys.stdout.isatty():
        for _ in _write_chunks(job, out):
            pass
        return
    with click.progressbar(length=job.request.count, file=sys.stderr, label="Names") as bar:
        for names in _write_chunks(job, out):
            bar.update(names)


def _write_chunks(job: StreamJob, out: BinaryIO) -> Iterator[int]:
    """Write chunk by chunk; yield the number of names in each."""
    while not job.finished:
        before = job.stream.names
        out.write(job.next_chunk())
        out.flush()
        yield job.stream.names - before


def _print_answer(
    request: GenerateQuery, source: Source, settings: Settings, samplers: SamplerCache, as_json: bool
) -> None:
    job = GenerateJob(request, source, settings.max_attempts, PrefixMemory(settings.memory), samplers)
    while not job.finished:
        chunk = job.next_chunk()
    answer = GenerateAnswer.model_validate_json(chunk)
    if as_json:
        click.echo(answer.model_dump_json(indent=2, exclude_unset=True))
    else:
        for name in answer.names:
            click.echo(name if isinstance(name, str) else f"{name.name}\t{name.log_prob:.4f}")
    _report_shortfall(job)


def _report_shortfall(job: SamplingJob) -> None:
    """Say how many names there are if some are missing, and which constraint rejected most candidates."""
    if job.stream.complete:
        return
    refused = job.stream.refused
    most = max(refused, key=refused.__getitem__)
    why = f", most of those refused by {most}" if refused[most] else ""
    click.echo(
        f"Only {job.stream.names} of {job.request.count}: {job.stream.attempts} candidates were drawn{why}. "
        "Ask for fewer, or give more --max-attempts.",
        err=True,
    )
    if job.note:
        click.echo(job.note, err=True)


@click.command()
@source_options
@click.argument("names", nargs=-1, required=True)
@click.option("--nearest", is_flag=True, help="Find the nearest name of the list, which takes time in a long one.")
@click.option("--by-style", is_flag=True, help="Print the log-probability under each value of each style as well.")
@click.option("--json", "as_json", is_flag=True, help="The answer of the service.")
def score(as_json: bool, names: tuple[str, ...], **options: Any) -> None:
    """Print how likely the model finds NAMES: log-probability, perplexity, and whether the list has them."""
    request = query(ScoreRequest, {**options, "names": list(names)})
    sources = _open_sources(load_settings())
    source = sources.find(request.dataset, request.model, request.style)
    by_style: list[ByStyle] = [{} for _ in names] if request.by_style else []
    if request.by_style:
        for variant in sources.variants(request.dataset, request.model, request.style):
            add_by_style(by_style, list(map(source.generator.vocabulary.normalize, names)), variant)
    answer = Scorer().score(request, source, by_style)
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
        return
    width = max(len(entry.name) for entry in answer.scores)
    for entry in answer.scores:
        near = f"nearest: {entry.nearest.name} ({entry.nearest.distance})" if entry.nearest else ""
        if entry.log_prob is None or entry.perplexity is None:
            click.echo(f"{entry.name:<{width}}  {entry.reason}{'  ' * bool(near)}{near}")
        else:
            listed = "in the list" if entry.in_training else near or "new"
            click.echo(f"{entry.name:<{width}}  {entry.log_prob:9.4f}  perplexity {entry.perplexity:8.2f}  {listed}")
        for style, values in (entry.by_style or {}).items():
            likeliest = sorted(values.items(), key=lambda item: -item[1])
            click.echo(f"{'':<{width}}  {style}: {', '.join(f'{value} {found:.4f}' for value, found in likeliest)}")


@click.command("next")
@source_options
@click.option("--prefix", default="", help="What stands before.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Below 1 safer, above 1 wilder.")
@click.option("--json", "as_json", is_flag=True, help="The answer of the service.")
def next_characters(as_json: bool, **options: Any) -> None:
    """Print the next characters after a prefix, the most probable first; "." is the end of the name."""
    request = query(NextQuery, options)
    source = _open_sources(load_settings()).find(request.dataset, request.model, request.style)
    answer = Scorer().next(request, source)
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
        return
    for entry in answer.characters:
        click.echo(f"{entry.character}  {entry.probability:.6f}  {'#' * round(50 * entry.probability)}".rstrip())


def query(kind: type[Query], options: dict[str, Any]) -> Query:
    """Return the options as a request, or exit with a line for each that is out of range."""
    try:
        return kind(**options)
    except ValidationError as error:
        wrong = {str(item["loc"][0]): item["input"] for item in error.errors(include_url=False)}
        for name, given in wrong.items():
            shown = name if name == "names" else f"--{name.replace('_', '-')}"
            click.echo(f"Error: {shown} is {given!r}; it must be {ALLOWED[name]}.", err=True)
        raise click.exceptions.Exit(USAGE_ERROR) from None
