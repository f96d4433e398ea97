"""How well versions predict names that were first given after their list ends.

    python -m benchmarks.shipped.later human/lstm@5 human/lstm@7

No model learns from the names of 2019 to 2024. A version with styles is asked for the decade 2010.
"""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from benchmarks.results import console
from data import LATER_NAMES, load_names
from models import Version, prepare
from training.paths import open_registry

DECADE = {"decade": "2010"}


def loss_of(version: Version, names: Sequence[str]) -> float:
    """Return the negative log-likelihood in nats per character, end token included."""
    scores = version.generator.score(names)
    return -sum(score.log_prob for score in scores) / sum(len(name) + 1 for name in names)


@click.command()
@click.argument("references", nargs=-1, required=True)
@click.option("--store", type=click.Path(path_type=Path), default=Path(".namewave/artifacts"), help="Your versions.")
def main(references: tuple[str, ...], store: Path) -> None:
    """Print the loss of each of REFERENCES on names of later years."""
    registry, names = open_registry(store, prepare()), load_names(LATER_NAMES.file).names
    table = Table("version", "style", title=f"{len(names):,} {LATER_NAMES.title}", title_justify="left")
    table.add_column("nats per character", justify="right")
    for reference in references:
        version = registry.resolve(None, reference)
        style = DECADE if "decade" in version.generator.styles.values else {}
        loss = loss_of(version.styled(style), names)
        table.add_row(version.reference, ", ".join(f"{k} {v}" for k, v in style.items()), f"{loss:.4f}")
    console().print(table)


if __name__ == "__main__":
    main()
