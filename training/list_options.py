"""Options that say which list of names a command works on, and what they mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from data import CATALOG
from training.corpus import Corpus, own_corpus, shipped_corpus

Command = TypeVar("Command", bound=Callable[..., Any])


def list_options(command: Command) -> Command:
    """Add --dataset, --data and --name."""
    options = [
        click.option("--dataset", type=click.Choice(list(CATALOG)), help="A list that ships (default: human)."),
        click.option("--data", type=click.Path(path_type=Path), help="A list of your own: UTF-8, one name a line."),
        click.option("--name", help="What your own list is called: a-z, 0-9 and -."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def dataset_name(dataset: str | None, data: Path | None, name: str | None) -> str:
    """Return what the data set is called. Raises `click.UsageError` where the three options contradict."""
    if (data is None) != (name is None):
        raise click.UsageError("--data and --name belong together: --data my_list.txt --name elves.")
    if data is not None and dataset is not None:
        raise click.UsageError("--dataset is a list that ships, --data one of your own; give one of them.")
    return name or dataset or "human"


def read_corpus(called: str, data: Path | None, split_seed: int) -> Corpus:
    """Return the list at `data` under the name `called`, or the one that ships. Raises `NameListError`."""
    return shipped_corpus(called, split_seed) if data is None else own_corpus(data, called, split_seed)


def one_list_options(command: Command) -> Command:
    """Add --dataset and --data, for commands that publish nothing and so need no name."""
    options = [
        click.option(
            "--dataset", type=click.Choice(list(CATALOG)), default="human", show_default=True, help="A list that ships."
        ),
        click.option("--data", type=click.Path(path_type=Path), help="A list of your own instead, one name a line."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def one_list(dataset: str, data: Path | None, split_seed: int) -> Corpus:
    """Return the list at `data`, or else the one that ships as `dataset`. Raises `NameListError`."""
    return shipped_corpus(dataset, split_seed) if data is None else own_corpus(data, "own", split_seed)
