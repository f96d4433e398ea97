"""Building the tables of names with styles, from small made-up packages and files; nothing is fetched."""

import io
import json
import sqlite3
import string
import struct
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import build
from data.building import packages
from data.building.first_names import births_by_decade, later_names
from data.building.japanese import given_names
from data.building.listing import lines, table, usable
from data.building.packages import PackageError, unzip
from data.building.species import names_and_kinds
from data.building.surnames import most_frequent_surnames
from data.building.towns import town_names
from data.names import load_names
from data.shapes import ReadOptions

# Twenty names with all letters of a to z, so that no letter of another name is rare.
FILLERS = [string.ascii_lowercase[i:] + string.ascii_lowercase[:i] for i in range(20)]
Births = Sequence[tuple[str, str, int, int]]


def database(rows: Births) -> bytes:
    """Return a database of name, sex, births and year."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE usNameData (id INTEGER PRIMARY KEY, name, sex, births INTEGER, year INTEGER)")
        connection.executemany("INSERT INTO usNameData (name, sex, births, year) VALUES (?, ?, ?, ?)", rows)
        connection.commit()
        return connection.serialize()


def births(*rows: tuple[str, str, int, int]) -> bytes:
    """Return a database with the rows, and the fillers in 1880 and in 2020."""
    fillers = [(name.title(), "F", 5, 1880) for name in FILLERS]
    return database([*rows, *fillers])


def without_fillers(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return the rows of other names than the fillers."""
    return [row for row in rows if row[0] not in FILLERS]


def test_births_are_summed_by_gender_and_decade() -> None:
    content = births(
        ("Ann", "F", 10, 1880), ("Ann", "F", 5, 1889), ("Ann", "M", 7, 1889), ("Ann", "F", 6, 1890),
        ("Zoe", "F", 8, 2009), ("Zoe", "F", 9, 2010), ("Zoe", "F", 11, 2018), ("Zoe", "F", 99, 2019),
    )  # fmt: skip
    assert without_fillers(births_by_decade(content)) == [
        ("ann", "feminine", 1880, 15),
        ("ann", "feminine", 1890, 6),
        ("ann", "masculine", 1880, 7),
        ("zoe", "feminine", 2000, 8),
        ("zoe", "feminine", 2010, 20),
    ]


def test_placeholders_are_no_first_names() -> None:
    content = births(("Unknown", "M", 900, 1950), ("Baby", "F", 50, 1990), ("Infantof", "F", 5, 1990))
    assert without_fillers(births_by_decade(content)) == []
    later = births(("Unnamed", "F", 9, 2020), ("Nonamegiven", "F", 7, 2024))
    assert later_names(later) == []


def test_later_names_never_occur_before_2019() -> None:
    """A name that was once given to the other sex is not new."""
    rows = [(name.title(), "F", 5, 2020) for name in FILLERS]
    content = database(
        [*rows, ("Ann", "F", 9, 2020), ("Ann", "M", 5, 1880), ("Zoe", "F", 5, 2018), ("Bo", "M", 5, 2024)]
    )
    assert later_names(content) == sorted([*FILLERS, "bo"])


def test_unreadable_database_is_a_package_error() -> None:
    with pytest.raises(PackageError, match=r"database of births cannot be read .*; fetch the package again"):
        births_by_decade(b"no database" * 100)
    with pytest.raises(PackageError, match="fetch the package again"):
        later_names(without_births())


def without_births() -> bytes:
    """Return a database that lacks the table of births."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE other (id)")
        return connection.serialize()


def test_human_table_comes_from_the_zipped_database(tmp_path: Path) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as inner:
        inner.writestr("us-name-data.sqlite", births(("Ann", "F", 10, 1885), ("Bo", "M", 5, 2021)))
    with tarfile.open(tmp_path / packages.BIRTHS.file, "w:gz") as archive:
        entry = tarfile.TarInfo("package/sqlite/us-name-data.sqlite.zip")
        entry.size = len(zipped.getvalue())
        archive.addfile(entry, io.BytesIO(zipped.getvalue()))
    header, *rows = build.human_table(tmp_path).decode().splitlines()
    assert header == "name\tgender\tdecade\tbirths"
    assert "ann\tfeminine\t1880\t10" in rows
    assert build.later_names_list(tmp_path) == b""  # the only letters of "bo" are rare


def test_unreadable_zip_in_a_package_is_a_package_error() -> None:
    with pytest.raises(PackageError, match=r"no readable births\.sqlite"):
        unzip(b"no archive", "births.sqlite")


def test_surnames_are_the_first_of_the_census() -> None:
    names = ["SMITH", "Jones", *map(str.upper, FILLERS), "BEYOND"]
    content = "name,rank,count\n" + "".join(f"{name},{i},9\n" for i, name in enumerate(names, 1))
    assert most_frequent_surnames(content.encode(), 22) == ["smith", "jones", *FILLERS]
    assert most_frequent_surnames(content.encode())[-1] == "beyond"


def test_japanese_name_of_both_genders_has_two_rows() -> None:
    fillers = "".join(f"よみ,{name},漢\n" for name in FILLERS)
    files = {
        "feminine": f"あきら,akira,明,晶\nあい,ai,愛\n{fillers}",
        "masculine": "あきら,akira,明\nあきーら,akira,亮\n",
    }
    rows = given_names({gender: content.encode() for gender, content in files.items()})
    assert without_fillers(rows) == [("ai", "feminine"), ("akira", "feminine"), ("akira", "masculine")]


def cities(*towns: tuple[str, str]) -> bytes:
    """Return a file of cities: the towns, and the fillers in Germany with umlauts."""
    fillers = [(f"{name} ä-ı'ș.", "DE") for name in FILLERS]
    every = [{"name": name, "countrycode": country} for name, country in [*towns, *fillers]]
    return json.dumps({str(i): city for i, city in enumerate(every)}).encode()


@pytest.mark.parametrize(
    ("name", "country", "kept"),
    [
        ("Sankt Johann", "DE", "sankt johann"),
        ("Schwedt (Oder)", "DE", "schwedt"),
        ("Ma\u0308rz", "DE", "märz"),
        ("St. Mary’s", "GB", "st. mary's"),
        ("Stoke–on-Trent", "GB", "stoke-on-trent"),
        ("Istıl İç", "TR", None),  # ç is in too few names
        ("Islan", "TR", "ıslan"),
        ("İzmir", "TR", "izmir"),
        ("Buşteni", "RO", "bușteni"),
        ("Ust’-Kut", "RU", "ust'-kut"),
        ("Perm’", "RU", "perm'"),
        ("Łódź", "PL", None),  # ł and ź are in too few names
        ("Москва", "RU", None),
        ("Paris 05", "FR", None),
        ("Donostia / San Sebastián", "ES", None),
        ("Ø", "US", None),
        ("Q", "US", None),
        ("Two  blanks", "US", None),
        ("x" * 41, "US", None),
        ("Praha", "CZ", None),
    ],
)
def test_town_name_is_plain_or_left_out(name: str, country: str, kept: str | None) -> None:
    fillers = {f"{filler} ä-ı'ș." for filler in FILLERS}
    found = [row for row in town_names(cities((name, country))) if row[0] not in fillers]
    assert [town for town, _ in found] == ([] if kept is None else [kept])


def test_town_has_one_row_for_each_country() -> None:
    content = cities(("Newcastle", "GB"), ("Newcastle", "AU"), ("NEWCASTLE", "GB"), ("Newcastle", "ZA"))
    rows = [row for row in town_names(content) if row[0] == "newcastle"]
    assert rows == [("newcastle", "australia"), ("newcastle", "united-kingdom")]


class Keys:
    """The keys of a trie, from tax ids to records."""

    def __init__(self, records: Mapping[int, bytes]) -> None:
        self.keys = [str(number).encode() + b"\xff" + record for number, record in records.items()]

    def starting_with(self, prefix: bytes) -> Iterator[bytes]:
        """Yield the keys that start with `prefix`."""
        return (key for key in self.keys if key.startswith(prefix))


SPECIES_RANK, SUBSPECIES_RANK = 23, 35
# Tax id to parent: birds are below the reptiles' group, which is below the vertebrates, like land animals.
PARENTS = {
    1: 1, 33208: 1, 33090: 1, 2: 1, 7742: 33208, 8457: 7742, 8782: 8457, 40674: 7742, 8292: 7742, 9605: 40674,
    50557: 33208, 6447: 33208,
}  # fmt: skip
NAMED = {
    "Kiwi": 8782, "Crested Tit": 8782, "Cobra": 8457, "Cod": 7742, "Newt": 8292, "Otter": 40674, "Human": 9605,
    "Bee": 50557, "Squid": 6447, "Coral": 33208, "Oak": 33090, "Darwin's fox": 40674, "Germ": 2, "Ox": 40674,
    "Fish no. 9": 7742, "Bee ": 50557,
}  # fmt: skip


def test_species_have_the_kind_of_their_nearest_group() -> None:
    named = {**NAMED, **dict.fromkeys(FILLERS, 33090)}
    texts = "".join(f"{name}\n" for name in named)
    starts = {100 + i: texts.index(f"{name}\n") for i, name in enumerate(named)}
    taxa = {number: struct.pack("<IBBB", parent, 13, 0, 0) for number, parent in PARENTS.items()}
    for i, group in enumerate(named.values()):
        taxa[100 + i] = struct.pack("<IBBB", group, SUBSPECIES_RANK if i % 2 else SPECIES_RANK, 0, 0)
    offsets = Keys({number: struct.pack("<I", start) for number, start in starts.items()})
    rows = names_and_kinds(Keys(taxa), offsets, texts.encode())  # type: ignore[arg-type]
    assert without_fillers(rows) == [
        ("bee", "insect"), ("cobra", "reptile"), ("cod", "fish"), ("coral", "other"), ("kiwi", "bird"),
        ("newt", "amphibian"), ("oak", "plant"), ("otter", "mammal"), ("squid", "mollusc"),
    ]  # fmt: skip


def test_taxa_above_species_are_left_out() -> None:
    taxa = Keys({1: struct.pack("<IBBB", 1, 45, 0, 0), 33090: struct.pack("<IBBB", 1, 13, 0, 0)})
    offsets = Keys({33090: struct.pack("<I", 0)})
    assert names_and_kinds(taxa, offsets, b"plants\n") == []  # type: ignore[arg-type]


@given(st.lists(st.text("abcé", min_size=1, max_size=3), max_size=200))
def test_usable_names_share_every_character(names: list[str]) -> None:
    kept = usable(names)
    counts = Counter(character for name in kept for character in set(name))
    assert all(count >= 20 for count in counts.values())
    # Nothing else is dropped: a set that is as good has no further name.
    rest = set(names) - kept
    assert all(usable(kept | {name}) == kept for name in rest)


def test_usable_names_have_40_characters_at_most() -> None:
    assert usable([*FILLERS, "a" * 40, "b" * 41]) == {*FILLERS, "a" * 40}


def test_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [(name, "odd" if i % 2 else "even", i) for i, name in enumerate(FILLERS, 1)]
    (tmp_path / "table.tsv").write_bytes(table(("name", "kind", "count"), rows))
    options = ReadOptions(column="name", weights="count", styles=("kind",))
    styles = load_names(tmp_path / "table.tsv", options=options).styles
    assert styles is not None
    assert list(zip(styles.rows, styles.weights, strict=True)) == [((name, kind), n) for name, kind, n in rows]
    assert lines(["ä", "b"]) == "ä\nb\n".encode()
