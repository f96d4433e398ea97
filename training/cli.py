"""The command line of training: commands that are imported when they are called, and errors as plain lines."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

import click

from data import NameListError
from models import ModelError
from training.errors import Interrupted, TrainingError


@dataclass(frozen=True)
class LazyCommand:
    """Where a command lives, "module:attribute", and the first sentence of its help."""

    place: str
    help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


COMMANDS: Mapping[str, LazyCommand] = MappingProxyType(
    {
        "autograd-demo": LazyCommand(
            "training.lessons.autograd_demo:command",
            "Let a perceptron of scalar values part two moons, and draw its border.",
        ),
        "backprop-check": LazyCommand(
            "training.lessons.backprop_check:command", "Compare the backward pass written by hand with autograd's."
        ),
        "bigram-picture": LazyCommand(
            "training.lessons.bigram:command",
            "Draw how often each character follows each other, and find the same table by gradient descent.",
        ),
        "context": LazyCommand(
            "training.lessons.context:command", "Compare a tree with a flat network of the same size."
        ),
        "diagnose": LazyCommand(
            "training.diagnostics.diagnose:command",
            "Plot activations, gradients and updates of a network, beside a bad start.",
        ),
        "evaluate": LazyCommand(
            "training.commands.versions:evaluate", "Compute the losses of a published version again."
        ),
        "find-lr": LazyCommand(
            "training.search.lr_finder:find_lr", "Find a good learning rate: one batch at each of many rates."
        ),
        "lessons": LazyCommand("training.lessons.check:command", "Run the check of every lesson in docs/lessons."),
        "list": LazyCommand(
            "training.commands.versions:list_versions",
            "List every published version with its aliases and its dev loss.",
        ),
        "notebook": LazyCommand(
            "training.lessons.notebook:command", "Sample as a notebook does, and as the service does."
        ),
        "release": LazyCommand("training.commands.release:release", "Train and publish everything that ships."),
        "sample": LazyCommand("training.commands.versions:sample", "Print names of a published version, one a line."),
        "shapes": LazyCommand("training.lessons.shapes:command", "Show what shape a batch has after each layer."),
        "starts": LazyCommand(
            "training.lessons.starts:command",
            "Compare five ways to begin: weights large or small, with BatchNorm or without.",
        ),
        "sweep": LazyCommand("training.search.sweep:sweep", "Try many hyperparameters and keep the best as a preset."),
        "temperatures": LazyCommand(
            "training.lessons.temperatures:command", "Show what the temperature does to names."
        ),
        "train": LazyCommand("training.commands.train:train", "Train on a list of names and publish a version."),
    }
)


class LazyGroup(click.Group):
    """A group that knows some commands by their place only; its help imports none of those."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand] = COMMANDS, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now if it is a lazy one."""
        return self.lazy[cmd_name].load() if cmd_name in self.lazy else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; a lazy one's line is known beforehand."""
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(map(len, names), default=0)
        lines = [(name, self._line(ctx, name, limit)) for name in names]
        if lines:
            with formatter.section("Commands"):
                formatter.write_dl(lines)

    def _line(self, ctx: click.Context, name: str, limit: int) -> str:
        if name in self.lazy:
            return self.lazy[name].help
        command = super().get_command(ctx, name)
        return command.get_short_help_str(limit) if command and not command.hidden else ""


INTERRUPTED = 130


class Commands(LazyGroup):
    """A group whose commands end with a plain line where something goes wrong that can."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Interrupted as error:
            _end(str(error), INTERRUPTED)
        except (TrainingError, ModelError, NameListError) as error:
            _end(str(error), 1)
        except OSError as error:
            _end(f"{error.filename or 'A file'} cannot be used: {error.strerror}.", 1)


def _end(message: str, code: int) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    raise click.exceptions.Exit(code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Train models that invent names, and look at what was published."""
