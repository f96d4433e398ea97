"""Output of commands: losses, names, metrics and printable characters."""

import re
from collections.abc import Mapping, Sequence

from matplotlib.font_manager import findfont, get_font
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models import Manifest, ModelRegistry, Version
from models.profanity import Refusals

SPACE = "␣"
FONT = "DejaVu Sans"
# Words of the profanity filter that are shown, those that refuse most names first.
SHOWN_WORDS = 10


def printable_character(character: str) -> str:
    """Return the character, a symbol for a space, or its Unicode number if the plots' font lacks it."""
    if character.isspace():
        return SPACE
    is_known = get_font(findfont(FONT)).get_char_index(ord(character)) > 0
    return character if is_known else f"{ord(character):04X}"


# A label, a colon and a number, which may be inf or nan.
_LINE = re.compile(r"(?P<label>\S.*): (?P<value>[-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|inf|nan))\s*", re.IGNORECASE)


def metric_line(label: str, value: float, form: str = ".4f") -> str:
    """Return a metric as a line; `form` is a format specification."""
    return f"{label}: {value:{form}}"


def show_metrics(console: Console, figures: Mapping[str, float], form: str = ".4f") -> None:
    """Print each metric on its own line, never wrapped."""
    for label, value in figures.items():
        console.print(Text(metric_line(label, value, form)), soft_wrap=True)


def parse_metrics(output: str) -> dict[str, float]:
    """Return the metrics in a command's output by label; the last one of a label counts."""
    matches = (_LINE.fullmatch(line) for line in output.splitlines())
    return {match["label"]: float(match["value"]) for match in matches if match}


def show_losses(console: Console, losses: Mapping[str, float]) -> None:
    """Print the loss of each part, in nats per character."""
    show_metrics(console, {f"{part} loss": loss for part, loss in losses.items()})


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
    console.print(Columns([Text(name) for name in names], title=Text(title), padding=(0, 3)))


def show_refusals(console: Console, refusals: Refusals) -> None:
    """Print how many names of the list `safe` refuses, and the words because of which."""
    line = f"profanity filter: refuses {len(refusals.words):,} of {refusals.total:,} names ({refusals.share:.2%})"
    counts = refusals.counts()
    if counts:
        shown = ", ".join(f"{word} {names:,}" for word, names in counts[:SHOWN_WORDS])
        more = f" and {len(counts) - SHOWN_WORDS:,} more" if len(counts) > SHOWN_WORDS else ""
        line += f" because of {shown}{more}"
    console.print(Text(line), soft_wrap=True)


def show_publication(console: Console, version: Version) -> None:
    """Print the folder of a version, and how to request its names."""
    manifest = version.manifest
    model = f"{manifest.architecture}@{manifest.version}"
    body = f'{{"dataset":"{manifest.dataset}","model":"{model}","count":5}}'
    lines = [
        f"Published {manifest.reference} in {version.folder}",
        "A running service offers it within seconds (start one with python -m app serve). Try it:",
        f"  curl -X POST localhost:8000/generate -H 'content-type: application/json' -d '{body}'",
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def show_versions(console: Console, registry: ModelRegistry) -> None:
    """Print every version with its aliases, and every refused version with the reason.

    A terminal gets a table for 80 columns, a pipe lines with tabs.
    """
    rows = [_row(registry, version.manifest) for version in registry.versions()]
    if console.is_terminal:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for i, head in enumerate(VERSION_COLUMNS):
            is_text = i < VERSION_COLUMNS.index("weights")
            table.add_column(head, justify="left" if is_text else "right", no_wrap=i == 0, overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print("The loss is that of the dev names, in nats per character.")
    else:
        for row in (VERSION_COLUMNS, *rows):
            # rich would expand the tabs.
            console.file.write("\t".join(row) + "\n")
    for reference, reason in registry.refused.items():
        console.print(Text(f"{reference} is refused: {reason}"), soft_wrap=True)


VERSION_COLUMNS = ("version", "aliases", "preset", "weights", "loss", "names")


def _row(registry: ModelRegistry, manifest: Manifest) -> tuple[str, ...]:
    """Return the cells of a version for VERSION_COLUMNS."""
    dev = manifest.metrics.get("dev")
    return (
        manifest.reference,
        ", ".join(_aliases(registry, manifest)),
        str(manifest.training.get("preset", "")),
        f"{manifest.parameters:,}",
        "" if dev is None else f"{dev:.4f}",
        f"{manifest.data.names:,}",
    )


def _aliases(registry: ModelRegistry, manifest: Manifest) -> list[str]:
    aliases = registry.aliases(manifest.dataset)
    mine = aliases.versions.get(manifest.architecture, {})
    names = [name for name, number in mine.items() if number == manifest.version]
    is_default = aliases.default == f"{manifest.architecture}@{manifest.version}"
    return ["default", *names] if is_default else names
