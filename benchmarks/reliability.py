"""Long measurements of what the service withstands, each a command that prints its figures:

    python -m benchmarks.reliability overload [--seconds 10] [--mix mixed|small]
    python -m benchmarks.reliability leaving [--rounds 20]

Here commands are only gathered.
"""

import click

from benchmarks.reliability_measures import leaving, overload


@click.group()
def main() -> None:
    """Measure what the service withstands."""


main.add_command(overload.overload)
main.add_command(leaving.leaving)


if __name__ == "__main__":
    main()
