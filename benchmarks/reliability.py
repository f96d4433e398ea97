"""Long measurements of what the service withstands, each a command that prints its figures:

    python -m benchmarks.reliability store
    python -m benchmarks.reliability processes

Here commands are only gathered.
"""

import click

from benchmarks.reliability_measures.processes import processes
from benchmarks.reliability_measures.store import store


@click.group()
def main() -> None:
    """Measure what the service withstands."""


main.add_command(store)
main.add_command(processes)


if __name__ == "__main__":
    main()
