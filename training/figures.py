"""A figure on a line of its own, as lessons promise it and commands print it: `dev loss: 2.4536`. No sums."""

import re
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

# A label, a colon, a number and nothing else; a loss that is no number is one to find, too.
_LINE = re.compile(r"(?P<label>\S.*): (?P<value>[-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|inf|nan))\s*", re.IGNORECASE)


def figure_line(label: str, value: float, form: str = ".4f") -> str:
    """Return a figure as a line; `form` as in Python's format strings."""
    return f"{label}: {value:{form}}"


def show_figures(console: Console, figures: Mapping[str, float], form: str = ".4f") -> None:
    """Print each figure on a line of its own, never wrapped."""
    for label, value in figures.items():
        console.print(Text(figure_line(label, value, form)), soft_wrap=True)


def found_figures(output: str) -> dict[str, float]:
    """Return the figures in what a command printed, by label; the last of one label counts."""
    matches = (_LINE.fullmatch(line) for line in output.splitlines())
    return {match["label"]: float(match["value"]) for match in matches if match}
