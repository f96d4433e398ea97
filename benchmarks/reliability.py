"""What the service survives, measured: python -m benchmarks.reliability --help. Each command prints its figures."""

import click

from benchmarks.reliability_measures.fairness import fairness


@click.group()
def main() -> None:
    """Attack the service, and print what came of it."""


main.add_command(fairness)

if __name__ == "__main__":
    main()
