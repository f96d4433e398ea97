"""What the service survives, measured: python -m benchmarks.reliability --help. Each command prints its figures."""

import click

from benchmarks.reliability_measures.fuzz import fuzz
from benchmarks.reliability_measures.slow_sockets import slow


@click.group()
def main() -> None:
    """Attack the service, and print what came of it."""


main.add_command(fuzz)
main.add_command(slow)

if __name__ == "__main__":
    main()
