"""The command line of training: commands imported on first use, and errors printed as one line."""

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
    """A command that is imported on first use: its path "module:attribute" and a line of help."""

    import_path: str
    help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.import_path.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


COMMANDS: Mapping[str, LazyCommand] = MappingProxyType(
    {
        "autograd-demo": LazyCommand(
            "training.lessons.autograd_demo:autograd_demo",
            "Train a perceptron of scalar values to separate two moons, and draw its decision boundary.",
        ),
        "backprop-check": LazyCommand(
            "training.lessons.backprop_check:compare_gradients",
            "Compare the backward pass written by hand with autograd's.",
        ),
        "bigram-picture": LazyCommand(
            "training.lessons.bigram:draw_bigrams",
            "Draw how often each character follows another, and fit the same table by gradient descent.",
        ),
        "casing": LazyCommand(
            "training.commands.casing:measure_lists",
            "Measure how many held-out names of LISTS are spelled as in the list.",
        ),
        "context": LazyCommand(
            "training.lessons.context:compare_contexts", "Compare a tree with a flat network of the same size."
        ),
        "diagnose": LazyCommand(
            "training.diagnostics.diagnose:diagnose_model",
            "Plot activations, gradients and updates of a network, beside a bad start.",
        ),
        "evaluate": LazyCommand(
            "training.commands.versions:evaluate", "Compute the losses of a published version again."
        ),
        "find-lr": LazyCommand(
            "training.search.lr_finder:find_lr", "Find a good learning rate: one batch at each of many rates."
        ),
        "lessons": LazyCommand(
            "training.lessons.check:check_lessons", "Run the check of every lesson in docs/lessons."
        ),
        "list": LazyCommand(
            "training.commands.versions:list_versions",
            "List every published version with its aliases and its dev loss.",
        ),
        "notebook": LazyCommand(
            "training.lessons.notebook:compare_with_notebook",
            "Compare sampling in a notebook with sampling in the service.",
        ),
        "quantize": LazyCommand(
            "training.commands.versions:quantize", "Publish a version again with 8-bit integer weights."
        ),
        "release": LazyCommand(
            "training.commands.release:publish_release", "Train and publish the models of shipped lists."
        ),
        "sample": LazyCommand("training.commands.versions:sample", "Print names of a published version, one per line."),
        "shapes": LazyCommand("training.lessons.shapes:show_shapes", "Show the shape of a batch after each layer."),
        "starts": LazyCommand(
            "training.lessons.starts:compare_starts",
            "Compare five initialisations: large or small weights, with or without BatchNorm.",
        ),
        "sweep": LazyCommand("training.search.sweep:sweep", "Try many hyperparameters and keep the best as a preset."),
        "temperatures": LazyCommand(
            "training.lessons.temperatures:compare_temperatures", "Show the effect of the temperature on names."
        ),
        "train": LazyCommand("training.commands.train:train", "Train on a list of names and publish a version."),
    }
)


class LazyGroup(click.Group):
    """A click group with lazy commands, which its help lists without importing them."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand] = COMMANDS, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; a lazy one is imported now."""
        return self.lazy[cmd_name].load() if cmd_name in self.lazy else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, with the stored help of lazy ones."""
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
    """A click group that prints expected errors as one line."""

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
    """Train models that invent names, and inspect published versions."""
