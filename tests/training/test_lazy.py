"""Commands that are imported on use: the help knows them without an import, and says what they say themselves."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from training.lazy import COMMANDS, LazyCommand, LazyGroup

ROOT = Path(__file__).parents[2]


def test_help_imports_neither_optuna_nor_torch() -> None:
    """A fresh process prints the help of the command line, with every command, and has none of the slow packages."""
    script = (
        "import sys; from click.testing import CliRunner; from training.cli import main; "
        "print(CliRunner().invoke(main, ['--help']).output); "
        "print('slow:', [name for name in ('optuna', 'torch', 'matplotlib', 'rich') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"  {name} " in result.stdout for name in COMMANDS)
    assert len(COMMANDS) == 17
    assert result.stdout.rstrip().endswith("slow: []")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_line_of_help_is_the_commands_own(name: str) -> None:
    """The line shown without importing is the first sentence of the command's help, and the command has that name."""
    command = COMMANDS[name].load()
    assert command.name == name
    assert f"{(command.help or '').partition('.')[0]}." == COMMANDS[name].help


def test_a_lazy_command_runs_beside_the_others() -> None:
    """Both kinds are listed in order, and calling the lazy one imports and runs it."""
    group = LazyGroup("main", lazy={"find-lr": COMMANDS["find-lr"], "gone": LazyCommand("nowhere:x", "Not here.")})
    group.add_command(click.Command("all", help="Everything."))
    runner = CliRunner()
    listed = runner.invoke(group, ["--help"]).output.split("Commands:")[1]
    assert [line.split()[0] for line in listed.strip().splitlines()] == ["all", "find-lr", "gone"]
    assert "Everything." in listed
    assert "--low" in runner.invoke(group, ["find-lr", "--help"]).output
    assert runner.invoke(group, ["all"]).exit_code == 0
    assert "No such command" in runner.invoke(group, ["other"]).output
