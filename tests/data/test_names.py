"""Name lists: normalisation, refused content, train/dev/test split, and shipped lists."""

import hashlib
import random
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.catalog import CATALOG, HUMAN_2018, LATER_NAMES, LISTS, RELATIVES, DataSet, find
from data.names import NameList, NameListError, load_names, split_names

# SHA-256 of the seed-42 split: names joined by newlines, and the three parts by empty lines.
SPLITS = {
    "human": "b37552ea3e1960e82f293a0c9cae131367936bae8e8ca13a939fa83ab00d8a59",
    "surname": "61128af1818dca33d7850a27edccce54766d4d5350a67c744bad7f93d42047c4",
    "town": "64b5f53f7c869530016dbbd86779102386cfddf412ce4432781fafcb6c63fb8f",
    "animal": "d74a95a26d4796e0fa0d369fb3ed0b6d63857c8c936988f7503d31abf73bcdd1",
    "species": "7c19ec5bf453b2cc0b789f85a84c08cc0e581aa774e3080919bf4d1e0c8ee77d",
    "japanese": "1fab4a757974b66837efeb026e1f47c9771f95cb766cf58c7a3a39ca06d0300d",
    "human-2018": "956ae79a207203b2f364cb03fd72c150ea9a05d502c9cb69f061ed1f66d93ea6",
}
# Styles of each table, with some of their values.
STYLES = {
    "human": {"gender": {"feminine", "masculine"}, "decade": {str(year) for year in range(1880, 2011, 10)}},
    "town": {"country": {"germany", "united-states", "united-kingdom", "ireland"}},
    "species": {"kind": {"bird", "fish", "mammal", "insect", "reptile", "amphibian", "plant", "other"}},
    "japanese": {"gender": {"feminine", "masculine"}},
}
# Signs beside letters, where a list has some.
SIGNS = {"town": set(" '-."), "species": set(" '-")}
# What the notice of each list that a model may learn from has to say.
CREDITS = {
    "human": "Social Security Administration",
    "human-2018": "Social Security Administration",
    "surname": "US Census Bureau",
    "town": "CC BY 4.0",
    "animal": "Princeton University",
    "species": "National Center for Biotechnology Information",
    "japanese": "Copyright (c) 2022 shuheilocale",
}
HUNDRED = [f"name{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(100)]
# Letters that are their own lower case and composed form, of several scripts.
LETTERS = st.sampled_from("abzéñøœßđžабвяёαβωϊאבתابتकखग一二山あかンヌ한글ႠกขქართულიՀ'-. ".lower())
NAMES = st.text(LETTERS, min_size=1, max_size=12).map(str.strip).filter(bool)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_loaded_names_are_normalised_and_dropped_lines_counted(tmp_path: Path) -> None:
    lines = ["Zoë", " zoe\u0308\t", "", "  ", "ZOË", "Baby", "baby", "O'Brien", "mary ann", "J.-P.", *HUNDRED]
    path = written(tmp_path, "\ufeff" + "\r\n".join(lines) + "\r\n")
    loaded = load_names(path, placeholders={"BABY"})
    assert loaded.names == ("zoë", "o'brien", "mary ann", "j.-p.", *HUNDRED)
    assert dict(loaded.dropped) == {"empty": 2, "repeated": 3, "placeholder": 1}
    assert loaded.summary() == "104 names; dropped 2 empty lines, 3 repeated lines, 1 placeholder"
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("end", ["", "\n"])
def test_clean_list_drops_nothing(tmp_path: Path, end: str) -> None:
    loaded = load_names(written(tmp_path, "\n".join(HUNDRED) + end))
    assert (loaded.names, dict(loaded.dropped), loaded.summary()) == (tuple(HUNDRED), {}, "100 names")


@given(names=st.lists(NAMES, max_size=30))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_normalised_names_of_any_script_are_unchanged(tmp_path: Path, names: list[str]) -> None:
    loaded = load_names(written(tmp_path, "\n".join([*names, *HUNDRED])))
    assert loaded.names == tuple(dict.fromkeys([*names, *HUNDRED]))
    assert len(loaded.names) + sum(loaded.dropped.values()) == len(names) + 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give at least 20"),
        (b"\n \r\n\t\n", "is empty; give at least 20"),
        (b"\xef\xbb\xbf\n", "has 0 distinct names; at least 20 are needed"),
        (b"anna\0bob\n", "is binary .* give UTF-8 text"),
        (b"anna\nbj\xf6rn\n", "not UTF-8 \\(first on line 2\\).* save it as UTF-8"),
        ("\n".join(HUNDRED[:19] * 2).encode(), "has 19 distinct names; at least 20 are needed"),
        *(
            ("\n".join([*HUNDRED, f"two{separator}names"]).encode(), "control characters on line 101;")
            for separator in ("\u2028", "\x85", "\x0b", "\x1c")
        ),
        ("\n".join([*HUNDRED, "a\x07b", "ok", "c\td"]).encode(), "control characters on lines 101, 103;"),
        ("\n".join([*HUNDRED, "x" * 65]).encode(), "longer than 64 characters on line 101;"),
        ("\n".join(["y" * 70] * 8).encode(), "longer than 64 characters on lines 1, 2, 3, 4, 5 and 3 more;"),
    ],
)
def test_unusable_list_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(NameListError, match=message) as caught:
        load_names(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_limits_of_length_and_count_are_inclusive(tmp_path: Path) -> None:
    loaded = load_names(written(tmp_path, "\n".join([*HUNDRED[:99], "é" * 64])))
    assert len(loaded.names) == 100
    assert loaded.names[-1] == "é" * 64


@pytest.mark.parametrize(("path", "message"), [("absent.txt", "is not a readable file"), ("", "is a folder")])
def test_missing_file_and_folder_are_refused(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(NameListError, match=message):
        load_names(tmp_path / path)


def test_placeholders_do_not_count_towards_the_minimum(tmp_path: Path) -> None:
    with pytest.raises(NameListError, match="19 distinct names"):
        load_names(written(tmp_path, "\n".join(HUNDRED[:20])), placeholders={HUNDRED[3]})


@given(names=st.lists(NAMES, min_size=1, max_size=60), seed=st.integers(0, 2**53 - 1))
def test_split_partitions_distinct_names_80_10_10(names: list[str], seed: int) -> None:
    split = split_names(names, seed)
    n = len(set(names))
    assert sorted([*split.train, *split.dev, *split.test]) == sorted(set(names))
    assert (len(split.train), len(split.train) + len(split.dev)) == (n * 8 // 10, n * 9 // 10)


def test_split_depends_on_its_seed_alone() -> None:
    random.seed(1)
    before = random.getstate()
    first = split_names(HUNDRED, 42)
    assert random.getstate() == before
    random.seed(2)
    assert split_names(HUNDRED, 42) == first
    assert split_names(HUNDRED, 43) != first


@cache
def read(name: str) -> NameList:
    """Return a list of the project, read as its entry says."""
    entry = LISTS[name]
    return load_names(entry.file, entry.placeholders, entry.reading)


@pytest.mark.parametrize("data_set", LISTS.values(), ids=list(LISTS))
def test_shipped_list_has_the_catalog_digest_and_is_plain(data_set: DataSet) -> None:
    content = data_set.file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == data_set.sha256
    assert content.endswith(b"\n")
    assert b"\r" not in content
    names = [line.partition("\t")[0] for line in content.decode().splitlines()[bool(data_set.reading.column) :]]
    assert all(name == unicodedata.normalize("NFC", name).lower() for name in names)
    signs = {character for character in set("".join(names)) if not character.isalpha()}
    assert signs == SIGNS.get(data_set.name, set())
    assert set(names) == set(read(data_set.name).names) | data_set.placeholders


@pytest.mark.parametrize("name", [*CATALOG, LATER_NAMES.name])
def test_characters_of_a_list_are_in_20_names_of_40_at_most(name: str) -> None:
    names = read(name).names
    counts = Counter(character for each in names for character in set(each))
    # The animals have no rule of their own.
    assert min(counts.values()) >= (20 if name != "animal" else 1)
    assert max(map(len, names)) <= 40


@pytest.mark.parametrize("name", CATALOG)
def test_styles_of_a_table_are_its_columns(name: str) -> None:
    styles = read(name).styles
    columns = STYLES.get(name, {})
    assert (styles.columns if styles else ()) == tuple(columns)
    for i, values in enumerate(columns.values(), start=1):
        assert styles is not None
        found = {row[i] for row in styles.rows}
        assert values <= found if name in ("town", "species") else values == found
        assert all(value == value.lower() and " " not in value for value in found)


def test_eight_countries_have_3000_towns() -> None:
    styles = read("town").styles
    assert styles is not None
    assert len(set(styles.rows)) == len(styles.rows)
    counts = Counter(country for _, country in styles.rows)
    assert sum(count > 3_000 for count in counts.values()) >= 8


def test_human_rows_are_weighed_by_births() -> None:
    """The numbers are those that the Social Security Administration publishes."""
    styles = read("human").styles
    assert styles is not None
    births = dict(zip(styles.rows, styles.weights, strict=True))
    assert births["mary", "feminine", "1880"] == 91_668
    assert sum(births.values()) == 351_737_461
    assert not {"baby", "infant", "unknown", "unnamed"} & set(read("human").names)


def test_later_names_are_new() -> None:
    assert not set(read("later-names").names) & set(read("human").names)
    assert len(read("later-names").names) == 6_321


def test_shipped_lists_have_their_documented_counts() -> None:
    counts = {name: len(read(name).names) for name in CATALOG}
    page = (HUMAN_2018.file.parent / "README.md").read_text("utf-8")
    for name, count in counts.items():
        assert re.search(rf"^\| `{re.escape(find(name).file.name)}` \|.*\| {count:,} \|", page, re.MULTILINE), name
    assert read("animal").summary() == "3,323 names"
    assert read("human-2018").summary() == "29,611 names; dropped 2,559 repeated lines, 8 placeholders"
    assert len(load_names(HUMAN_2018.file).names) == 29_619
    assert not HUMAN_2018.placeholders & set(read("human-2018").names)


def test_pretraining_words_are_disjoint_from_animals() -> None:
    animals, relatives = (set(load_names(data_set.file).names) for data_set in (find("animal"), RELATIVES))
    assert len(relatives) == 120_992
    assert not animals & relatives


@pytest.mark.parametrize("name", SPLITS)
def test_split_of_seed_42_never_changes(name: str) -> None:
    """Shipped models are compared on this split."""
    split = split_names(read(name).names, 42)
    content = "\n\n".join("\n".join(part) for part in (split.train, split.dev, split.test))
    assert hashlib.sha256(content.encode()).hexdigest() == SPLITS[name]


def test_each_notice_credits_its_own_sources_only() -> None:
    human, animal = find("human").notice, find("animal").notice
    assert "Social Security Administration" in human
    assert "WordNet" not in human
    assert "National Center for Biotechnology Information" in animal
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in animal
    assert animal.endswith("Princeton University and LICENSEE agrees to preserve same.")
    for name, credit in CREDITS.items():
        assert credit in LISTS[name].notice
        assert "===" not in LISTS[name].notice
    assert not any("WordNet" in LISTS[name].notice for name in CREDITS if name != "animal")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("animals", r"'animals'; there are human, .*, animal, .*: did you mean animal\?"),
        ("zzz", "give a list of your own as a file"),
    ],
)
def test_unknown_data_set_error_suggests_a_way_out(name: str, message: str) -> None:
    with pytest.raises(NameListError, match=message):
        find(name)


IMPORT = """import sys; opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)
import data.catalog
print(*[name for name in opened if name.endswith(('.txt', '.tsv', 'NOTICES')) and 'site-packages' not in name])
data.catalog.find('human').notice
print(any(name.endswith('NOTICES') for name in opened))"""


def test_catalog_import_opens_no_data_file() -> None:
    root = find("human").file.parents[1]
    done = subprocess.run([sys.executable, "-c", IMPORT], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "True"]
