"""Tests of `data.catalog` and of the lists that ship: they are the ones the catalog describes."""

import hashlib
import subprocess
import sys

import pytest

from data.catalog import CATALOG, LISTS, RELATIVES, DataSet, find
from data.names import NameListError, load_names, split_names

SETS = pytest.mark.parametrize("data_set", CATALOG.values(), ids=list(CATALOG))
FILES = pytest.mark.parametrize("data_set", LISTS.values(), ids=list(LISTS))

# SHA-256 of the parts of the seed-42 split, names joined by newlines; made once by a script of its own.
SPLITS = {
    "human": (
        "8757f7cf08124e783224e59d9cf872344391f8683b8b67daaaaef33be3c4dc8d",
        "dca8594f6f219a13a053d55fb2130dc9c0ca58991cc5dc6a6f0e6782da86ae15",
        "d985b496e8c243b840780d7168403fe3a37053af0a51cbdc34fe5c30fd774490",
    ),
    "animal": (
        "6a52afda1f6a9ca11cff5479df4a223f08be319dfc928d09ceea457f1074bd0d",
        "28fbc371d1497531d6c8e674a656cddae6b610f69cc277d8b173492b66f6c033",
        "ab7a5ba44f9c0403f6e6305f86de0c74bc22b775ca010d16a58c8e1dd8d2013f",
    ),
}


@FILES
def test_shipped_list_is_the_one_in_the_catalog(data_set: DataSet) -> None:
    """The bytes of each shipped list have the catalog's SHA-256, one entry a line in a-z with a final newline."""
    content = data_set.file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == data_set.sha256
    assert content.endswith(b"\n")
    assert all(line.isalpha() and line.isascii() and line.islower() for line in content.decode().splitlines())


def test_human_list_has_its_known_counts() -> None:
    """32,178 lines hold 29,619 distinct names, of which eight are placeholders."""
    human = find("human")
    loaded = load_names(human.file, human.placeholders)
    assert loaded.summary() == "29,611 names; dropped 2,559 repeated lines, 8 placeholders"
    assert len(load_names(human.file).names) == 29_619
    assert not human.placeholders & set(loaded.names)


def test_animal_list_has_its_known_counts() -> None:
    """The animal list has 3,323 names and nothing to drop."""
    assert load_names(find("animal").file).summary() == "3,323 names"


def test_relatives_are_no_animals() -> None:
    """None of the words that the animal models learn from first is in the animal list, in no part of it."""
    animals, relatives = (set(load_names(data_set.file).names) for data_set in (find("animal"), RELATIVES))
    assert len(relatives) == 120_992
    assert not animals & relatives


@SETS
def test_split_of_seed_42_never_changes(data_set: DataSet) -> None:
    """Shipped models are compared on one split, so its parts are pinned by their SHA-256."""
    split = split_names(load_names(data_set.file, data_set.placeholders).names, 42)
    digests = [hashlib.sha256("\n".join(part).encode()).hexdigest() for part in (split.train, split.dev, split.test)]
    assert tuple(digests) == SPLITS[data_set.name]


def test_notices_credit_the_sources() -> None:
    """Each notice credits its own source and no other's; the animal one has WordNet's licence to its last line."""
    human, animal = find("human").notice, find("animal").notice
    assert "Social Security Administration" in human
    assert "WordNet" not in human
    assert "National Center for Biotechnology Information" in animal
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in animal
    assert animal.endswith("Princeton University and LICENSEE agrees to preserve same.")
    assert "===" not in human + animal


def test_find_names_the_nearest() -> None:
    """An unknown name is refused with the sets that there are, and the nearest one first where one is near."""
    with pytest.raises(NameListError, match=r"'animals'; there are human, animal: did you mean animal\?"):
        find("animals")
    with pytest.raises(NameListError, match="give a list of your own as a file"):
        find("zzz")


def test_catalog_reads_nothing_at_import() -> None:
    """Importing the catalog opens no list and no notice (watched by an audit hook in a fresh process)."""
    folder = next(iter(CATALOG.values())).file.parent
    script = (
        "import sys; opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "import data.catalog\n"
        "print(*[name for name in opened if name.endswith(('human.txt', 'animal.txt', 'NOTICES'))])\n"
        "n = data.catalog.find('human').notice\n"
        "print(any(name.endswith('NOTICES') for name in opened))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder.parent, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "True"]
