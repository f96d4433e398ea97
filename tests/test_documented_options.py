"""Every documented command, in a block or in running text, has the subcommands and options that the page gives it."""

import importlib
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from app.cli.main import main as app_main
from app.settings import unknown_variables
from benchmarks.reliability import main as reliability_main
from tests.documented import BLOCK, COMMANDS, ROOT, TEXTS, Command, run_by, with_few_steps
from training.cli import main as training_main

GROUPS: dict[str, click.Group] = {
    "app": app_main,
    "training": training_main,
    "benchmarks.reliability": reliability_main,
}


def parse(words: Sequence[str]) -> None:
    """Parse `[NAME=VALUE ...] PYTHON -m MODULE ...` with the module's own command line.

    Raises `click.UsageError` where that refuses an option or an argument.
    """
    variables = [word.partition("=")[0] for word in words if re.match("NAMEWAVE_[A-Z_]+=", word)]
    assert list(unknown_variables(variables)) == []
    ends = [place for place, word in enumerate(words) if word in ("|", ">", ">>", "&&")]
    module, *arguments = words[words.index("-m") + 1 : min(ends, default=None)]
    command: click.Command = GROUPS.get(module) or importlib.import_module(module).main
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        found = command.get_command(click.Context(command), arguments[0])
        assert found is not None, f"{module} has no command {arguments[0]}"
        command, arguments = found, arguments[1:]
    # Without arguments a command is only named. --help ends with an exit, after it is printed.
    if arguments:
        with suppress(click.exceptions.Exit):
            command.make_context(command.name, arguments)


def quoted() -> Iterator[list[str]]:
    """Yield the commands in running text: `python -m MODULE ...`, and `COMMAND --option ...` without the module."""
    modules = {name: module for module, group in GROUPS.items() for name in group.list_commands(click.Context(group))}
    for text in TEXTS.values():
        for span in re.findall(r"`([^`]+)`", BLOCK.sub("", text)):
            first, *others = span.split()
            if "python -m " in " ".join(span.split()):
                yield shlex.split(span)
            elif first in modules and others and others[0].startswith("-"):
                # A word in capitals stands for a number.
                words = ("1" if re.fullmatch("[A-Z]+", word) else word for word in shlex.split(span))
                yield ["python", "-m", modules[first], *words]


# The experiments as they run in the tests too: one that does not take --steps is refused here.
LISTS = [*(each.words for each in COMMANDS), *map(with_few_steps, run_by("experiment")), *quoted()]
TO_PARSE = list(dict.fromkeys(tuple(words) for words in LISTS if "-m" in words))


@pytest.mark.parametrize("words", TO_PARSE, ids=" ".join)
def test_documented_options_and_commands_exist(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for word in words:
        # The benchmarks ask for a list that is there.
        if word.startswith("path/to/"):
            Path(word).parent.mkdir(parents=True)
            Path(word).touch()
    parse(words)


@pytest.mark.parametrize("line", ["training trian", "training train --presett fast", "app models alias human default"])
def test_misspelled_command_does_not_parse(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        parse(["python", "-m", *line.split()])


def test_documented_installations_name_files_that_exist() -> None:
    spans = re.findall(r"`(\.venv/bin/pip install [^`]+)`", "".join(TEXTS.values()))
    files = [word for span in spans for word in span.split()[2:] if "/" in word]
    assert len(files) == len(spans) == 5
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("command", run_by("compose"), ids=str)
def test_documented_compose_line_fits_services_and_options(command: Command) -> None:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    _, _, verb, *words = command.words
    if verb == "up":
        assert words == []
        [name] = [name for name, service in services.items() if "profiles" not in service]
    else:
        assert (verb, words[0]) == ("run", "--rm")
        name, words = words[1], words[2:]
    service = services[name]
    target = service["build"]["target"] if "build" in service else "serve"
    stage = (ROOT / "Dockerfile").read_text("utf-8").split(f" AS {target}\n")[1].split("\nFROM ")[0]
    [entry, default] = [json.loads(each) for each in re.findall("^(?:ENTRYPOINT|CMD) (.+)$", stage, re.MULTILINE)]
    parse([*service.get("entrypoint", entry), *(words or service.get("command", default))])
    mounted = {volume.split(":")[1] for volume in service["volumes"]}
    assert [word for word in words if word.startswith("/") and str(Path(word).parent) not in mounted] == []
