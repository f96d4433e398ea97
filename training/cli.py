"""The command line of the training room: every error is a line that says what to do. The commands themselves are named
in `lazy` and imported on use.
"""

from typing import Any, NoReturn

import click

from data import NameListError
from models import ModelError
from training.errors import Interrupted, TrainingError
from training.lazy import LazyGroup

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
