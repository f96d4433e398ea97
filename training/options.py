"""Options that several commands share: hyperparameters, the list, the store, the device."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel

from data import CATALOG, HUMAN_2018, ReadOptions, find
from models import ModelConfig
from models.spelling import TURKIC
from models.store.bucket import Location, parse_location
from training.config import TrainingConfig, allowed, option
from training.corpus import Corpus, human_2018_corpus, own_corpus, shipped_corpus
from training.device import DEVICES

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_STORE = Path(".namewave/artifacts")
# Bytes of a list that takes a second to read.
LARGE_LIST = 1_000_000
SHAPES = {
    "architecture": "Kind of network.",
    "block_size": "Characters of context.",
    "n_embd": "Width of a character's embedding.",
    "n_hidden": "Width of a hidden layer.",
    "n_layers": "Hidden layers of an mlp, or layers of an lstm.",
    "activation": "Activation after each hidden layer.",
    "dropout": "Share of hidden values dropped at random in training.",
    "input_dropout": "Share of embedding values dropped at random in training.",
}


class Hyperparameter(click.ParamType[Any]):
    """A click type for one field of a pydantic model. It checks the type; the model checks the range."""

    def __init__(self, model: type[BaseModel], field: str) -> None:
        schema = model.model_json_schema()["properties"][field]
        self.name = {"integer": "integer", "number": "number"}.get(schema.get("type"), "name")
        self.parse: Callable[[str], object] = {"integer": int, "number": float}.get(schema.get("type"), str)
        self.choices: list[str] = schema.get("enum", [])
        self.allowed = allowed(model, field)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return `value` as the field's type, or fail with the allowed values."""
        try:
            parsed = self.parse(value)
        except ValueError:
            return self.fail(f"{value!r} is given; allowed: {self.allowed}.", param, ctx)
        if self.choices and parsed not in self.choices:
            return self.fail(f"{value!r} is given; allowed: {self.allowed}.", param, ctx)
        return parsed


def hyperparameter_options(command: Command) -> Command:
    """Add an option for every hyperparameter; None means the preset's value."""
    fields: list[tuple[type[BaseModel], str]] = [(ModelConfig, name) for name in ModelConfig.model_fields]
    fields += [(TrainingConfig, name) for name in TrainingConfig.model_fields if name != "model"]
    for model, field in reversed(fields):
        text = model.model_fields[field].description or SHAPES.get(field, "")
        kind = Hyperparameter(model, field)
        command = click.option(option(field), field, type=kind, help=f"{text} [{kind.allowed}]")(command)
    return command


def processor_options(command: Command) -> Command:
    """Add --device and --threads."""
    device = click.option(
        "--device", type=click.Choice(DEVICES), default="cpu", show_default=True, help="Processor that trains."
    )
    threads = click.option(
        "--threads",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        help="Threads on the CPU. Another number gives other, equally good weights.",
    )
    return device(threads(command))


def _as_location(context: click.Context, parameter: click.Parameter, given: str) -> Location:
    try:
        return parse_location(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def store_option(command: Command) -> Command:
    """Add --store, the place of the user's versions."""
    return click.option(
        "--store",
        type=click.Path(file_okay=False),
        callback=_as_location,
        envvar="NAMEWAVE_STORE",
        default=DEFAULT_STORE,
        show_default=True,
        help="Folder of your versions, or s3://bucket/prefix.",
    )(command)


def kernels_option(command: Command) -> Command:
    """Add --kernels, the folder of compiled code."""
    return click.option(
        "--kernels",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="NAMEWAVE_KERNELS",
        help="Folder that keeps the compiled sampler (default: the user's cache).",
    )(command)


DATA_OPTION = click.option(
    "--data",
    type=click.Path(path_type=Path, allow_dash=True),
    help="A list of your own: names, a table or JSON; - for standard input.",
)
READING_OPTIONS = (
    click.option("--column", help="Column of a table that has the names: its header or number."),
    click.option("--weights", help="Column of counts: frequent names are drawn more often in training."),
    click.option("--style", "styles", multiple=True, help="Column of values that can be asked for; repeatable."),
    click.option("--encoding", help="Encoding of your list, if it is not UTF-8: cp1252, cp949, ..."),
    click.option("--as-is", is_flag=True, help="Each line of your list is a name, whatever it has."),
    click.option(
        "--locale",
        type=click.Choice([*TURKIC, "other"]),
        help="Whose capitals i and ı have: Turkish or Azeri ones, or others (default: what the letters show).",
    ),
    click.option(
        "--case",
        type=click.Choice(["list", "as-is"]),
        default="list",
        help="How a list in one case spells names: as titles (default), or as it is.",
    ),
)


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to read a list; the command gets them as `reading`."""

    @wraps(command)
    def call(
        *,
        column: str | None,
        weights: str | None,
        styles: tuple[str, ...],
        encoding: str | None,
        as_is: bool,
        locale: str | None,
        case: str,
        **rest: Any,
    ) -> Any:
        reading = ReadOptions(column, weights, styles, encoding, as_is, locale, keep_case=case == "as-is")
        return command(reading=reading, **rest)

    for decorate in reversed(READING_OPTIONS):
        call = decorate(call)
    return call


def list_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --dataset, --data, --name, and the options that say how to read a list."""
    options = [
        click.option("--dataset", type=click.Choice(list(CATALOG)), help="A list that ships (default: human)."),
        DATA_OPTION,
        click.option("--name", help="What your own list is called: a-z, 0-9 and -."),
    ]
    command = reading_options(command)
    for decorate in reversed(options):
        command = decorate(command)
    return command


def dataset_name(dataset: str | None, data: Path | None, name: str | None) -> str:
    """Return the name of the data set. Raises `click.UsageError` if the three options contradict."""
    if (data is None) != (name is None):
        raise click.UsageError("--data and --name belong together: --data my_list.txt --name elves.")
    if data is not None and dataset is not None:
        raise click.UsageError("--dataset is a list that ships, --data one of your own; give one of them.")
    return name or dataset or "human"


def read_corpus(called: str, data: Path | None, split_seed: int, reading: ReadOptions) -> Corpus:
    """Return the list at `data` with the name `called`, or a shipped list.

    Raises `NameListError`, and `click.UsageError` for options of reading without a list of one's own.
    """
    if data is not None:
        _announce_reading(data)
        return own_corpus(data, called, split_seed, reading)
    if reading != ReadOptions():
        raise click.UsageError("Options that say how to read a list are for one of yours: --data.")
    if called in CATALOG:
        _announce_reading(find(called).file)
    return shipped_corpus(called, split_seed)


def _announce_reading(data: Path) -> None:
    """Say that a list is being read, where that takes more than a moment."""
    size = data.stat().st_size if data.is_file() else 0
    if size >= LARGE_LIST:
        click.echo(f"reading {data} ({size / 1e6:.1f} MB)", err=True)


def one_list_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --dataset, --data and the options of reading, for lessons, which publish nothing and need no name."""
    options = [
        click.option(
            "--dataset",
            type=click.Choice([HUMAN_2018.name, *CATALOG]),
            default=HUMAN_2018.name,
            show_default=True,
            help="A list that ships.",
        ),
        DATA_OPTION,
    ]
    command = reading_options(command)
    for decorate in reversed(options):
        command = decorate(command)
    return command


def one_list(dataset: str, data: Path | None, split_seed: int, reading: ReadOptions) -> Corpus:
    """Return the list at `data`, or the shipped list `dataset`. Raises what `read_corpus` does."""
    if data is None and dataset == HUMAN_2018.name and reading == ReadOptions():
        return human_2018_corpus(split_seed)
    return read_corpus(dataset if data is None else "own", data, split_seed, reading)
