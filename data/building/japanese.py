"""Read Japanese given names in Latin letters; each row of a file has the kana, the Latin letters, and the kanji."""

import csv
from collections.abc import Mapping

from data.building.listing import usable

COLUMNS = ("name", "gender")


def given_names(files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Return names and genders, sorted; `files` has the content of a file for each gender.

    Readings that differ in kana may be one name in Latin letters; it is there once for each gender.
    """
    rows = {(_latin(row), gender) for gender, content in files.items() for row in csv.reader(_lines(content))}
    names = usable({name for name, _ in rows})
    return sorted(row for row in rows if row[0] in names)


def _lines(content: bytes) -> list[str]:
    return content.decode().splitlines()


def _latin(row: list[str]) -> str:
    return row[1].strip().lower()
