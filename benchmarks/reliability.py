"""Measurements of the service under faults and attacks: python -m benchmarks.reliability --help."""

import click

from benchmarks.reliability_measures.fairness import fairness
from benchmarks.reliability_measures.fuzz import fuzz
from benchmarks.reliability_measures.leaving import leaving
from benchmarks.reliability_measures.overload import overload
from benchmarks.reliability_measures.processes import processes
from benchmarks.reliability_measures.slow import slow
from benchmarks.reliability_measures.soak import soak
from benchmarks.reliability_measures.store import store
from benchmarks.reliability_measures.stubborn import stubborn


@click.group()
def main() -> None:
    """Attack the service, and print the results."""


for command in (fairness, fuzz, leaving, overload, processes, slow, soak, store, stubborn):
    main.add_command(command)


if __name__ == "__main__":
    main()
