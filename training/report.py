"""What commands print: losses, names, figures that lessons promise, characters that can be seen."""

import re
from collections.abc import Mapping, Sequence

from matplotlib.font_manager import findfont, get_font
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models import Manifest, ModelRegistry, Version
from models.spelling import capitalize

SPACE = "␣"
FONT = "DejaVu Sans"


def symbol_of(character: str) -> str:
    """Return the character, a sign for a blank, or its Unicode number where the pictures' font does not have it."""
    if character.isspace():
        return SPACE
    is_known = get_font(findfont(FONT)).get_char_index(ord(character)) > 0
    return character if is_known else f"{ord(character):04X}"


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


def show_losses(console: Console, losses: Mapping[str, float]) -> None:
    """Print the loss of each part, in nats per character."""
    show_figures(console, {f"{part} loss": loss for part, loss in losses.items()})


def show_losses_beside(console: Console, losses: Mapping[str, float], published: Mapping[str, float]) -> None:
    """Print the loss of each part beside the published one."""
    table = Table("part", title="nats per character", title_justify="left")
    for head in ("loss", "published"):
        table.add_column(head, justify="right")
    for part, loss in losses.items():
        before = published.get(part)
        table.add_row(part, f"{loss:.4f}", *([f"{before:.4f}"] if before is not None else []))
    console.print(table)


def show_names(console: Console, names: Sequence[str], title: str) -> None:
    """Print names in columns under a title."""
    console.print(Columns([Text(capitalize(name)) for name in names], title=Text(title), padding=(0, 3)))


def show_publication(console: Console, version: Version) -> None:
    """Print where a version lies and how to ask a service for its names."""
    manifest = version.manifest
    model = f"{manifest.architecture}@{manifest.version}"
    body = f'{{"dataset":"{manifest.dataset}","model":"{model}","count":5}}'
    lines = [
        f"Published {manifest.reference} in {version.folder}",
        "Try it: a service that runs offers it within seconds (else: python -m app serve), then",
        f"  curl -X POST localhost:8000/generate -H 'content-type: application/json' -d '{body}'",
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def show_versions(console: Console, registry: ModelRegistry) -> None:
    """Print every version with its aliases, and those that are refused with the reason."""
    table = Table("version", "aliases", "preset")
    for head in ("parameters", "dev loss", "names"):
        table.add_column(head, justify="right")
    for version in registry.versions():
        manifest = version.manifest
        dev = manifest.metrics.get("dev")
        table.add_row(
            version.reference,
            ", ".join(_aliases(registry, manifest)),
            str(manifest.training.get("preset", "")),
            f"{manifest.parameters:,}",
            "" if dev is None else f"{dev:.4f}",
            f"{manifest.data.names:,}",
        )
    console.print(table)
    for reference, reason in registry.refused.items():
        console.print(Text(f"{reference} is refused: {reason}"), soft_wrap=True)


def _aliases(registry: ModelRegistry, manifest: Manifest) -> list[str]:
    aliases = registry.aliases(manifest.dataset)
    mine = aliases.versions.get(manifest.architecture, {})
    names = [name for name, number in mine.items() if number == manifest.version]
    is_default = aliases.default == f"{manifest.architecture}@{manifest.version}"
    return ["default", *names] if is_default else names
