"""Read the births of the US Social Security Administration: first names by gender and decade, and later ones.

The package keeps them in an SQLite database with one row for each name, sex and year.
"""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager

from data.building.listing import usable
from data.building.packages import PackageError

COLUMNS = ("name", "gender", "decade", "births")
# The table ends with this year; its last decade is short. Names that begin later test a model of the table.
LAST_YEAR = 2018
LAST_DECADE = 2010
# What forms hold where a child has no name yet, as one word.
PLACEHOLDERS = frozenset(
    [
        "baby",
        "babyboy",
        "babygirl",
        "boy",
        "child",
        "childnotnamed",
        "female",
        "girl",
        "infant",
        "infantboy",
        "infantfemale",
        "infantgirl",
        "infantmale",
        "infantof",
        "infboy",
        "male",
        "mr",
        "name",
        "newborn",
        "no",
        "noname",
        "nonamegiven",
        "not",
        "notnamed",
        "twina",
        "unborn",
        "unk",
        "unknown",
        "unkown",
        "unnamed",
    ]
)
_GENDERS = {"F": "feminine", "M": "masculine"}
_TABLE = """
    SELECT lower(name), sex, min(year / 10 * 10, :last_decade), sum(births) FROM usNameData WHERE year <= :last_year
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_LATER = """
    SELECT lower(name) FROM usNameData WHERE year > :last_year
    EXCEPT SELECT lower(name) FROM usNameData WHERE year <= :last_year
"""

Row = tuple[str, str, int, int]


def births_by_decade(database: bytes) -> list[Row]:
    """Return name, gender, decade and births, sorted. Raises `PackageError`."""
    with _opened(database) as connection:
        found = connection.execute(_TABLE, {"last_decade": LAST_DECADE, "last_year": LAST_YEAR}).fetchall()
    names = _real({name for name, *_ in found})
    return [(name, _GENDERS[sex], decade, births) for name, sex, decade, births in found if name in names]


def later_names(database: bytes) -> list[str]:
    """Return the names that occur only after the table's last year, sorted. Raises `PackageError`."""
    with _opened(database) as connection:
        found = connection.execute(_LATER, {"last_year": LAST_YEAR}).fetchall()
    return sorted(_real({name for (name,) in found}))


def _real(names: Collection[str]) -> frozenset[str]:
    return usable(frozenset(names) - PLACEHOLDERS)


@contextmanager
def _opened(database: bytes) -> Iterator[sqlite3.Connection]:
    """Open a database that lies in memory."""
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(database)
            yield connection
    except sqlite3.Error as error:
        raise PackageError(f"The database of births cannot be read ({error}); fetch the package again.") from error
