"""Read the surnames of the US Census of 2000, which its table lists by rank."""

import csv

from data.building.listing import usable

MOST_FREQUENT = 30_000


def most_frequent_surnames(content: bytes, count: int = MOST_FREQUENT) -> list[str]:
    """Return the first `count` surnames of the Census's table in lower case, the most frequent first.

    Where several have one rank, the order is the table's, by the alphabet.
    """
    rows = csv.DictReader(content.decode("ascii").splitlines())
    names = [row["name"].lower() for row, _ in zip(rows, range(count), strict=False)]
    kept = usable(names)
    return [name for name in dict.fromkeys(names) if name in kept]
