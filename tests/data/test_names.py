"""Name lists: normalisation, refused content, train/dev/test split, and shipped lists."""

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.catalog import CATALOG, LISTS, RELATIVES, DataSet, find
from data.names import NameListError, load_names, split_names

# SHA-256 of the seed-42 split: names joined by newlines, and the three parts by empty lines.
SPLITS = {
    "human": "956ae79a207203b2f364cb03fd72c150ea9a05d502c9cb69f061ed1f66d93ea6",
    "animal": "d74a95a26d4796e0fa0d369fb3ed0b6d63857c8c936988f7503d31abf73bcdd1",
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


@pytest.mark.parametrize("data_set", LISTS.values(), ids=list(LISTS))
def test_shipped_list_has_the_catalog_digest_and_a_to_z(data_set: DataSet) -> None:
    content = data_set.file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == data_set.sha256
    assert content.endswith(b"\n")
    assert all(line.isalpha() and line.isascii() and line.islower() for line in content.decode().splitlines())


def test_shipped_lists_have_their_documented_counts() -> None:
    assert load_names(find("animal").file).summary() == "3,323 names"
    human = find("human")
    loaded = load_names(human.file, human.placeholders)
    assert loaded.summary() == "29,611 names; dropped 2,559 repeated lines, 8 placeholders"
    assert len(load_names(human.file).names) == 29_619
    assert not human.placeholders & set(loaded.names)


def test_pretraining_words_are_disjoint_from_animals() -> None:
    animals, relatives = (set(load_names(data_set.file).names) for data_set in (find("animal"), RELATIVES))
    assert len(relatives) == 120_992
    assert not animals & relatives


@pytest.mark.parametrize("data_set", CATALOG.values(), ids=list(CATALOG))
def test_split_of_seed_42_never_changes(data_set: DataSet) -> None:
    """Shipped models are compared on this split."""
    split = split_names(load_names(data_set.file, data_set.placeholders).names, 42)
    content = "\n\n".join("\n".join(part) for part in (split.train, split.dev, split.test))
    assert hashlib.sha256(content.encode()).hexdigest() == SPLITS[data_set.name]


def test_each_notice_credits_its_own_sources_only() -> None:
    human, animal = find("human").notice, find("animal").notice
    assert "Social Security Administration" in human
    assert "WordNet" not in human
    assert "National Center for Biotechnology Information" in animal
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in animal
    assert animal.endswith("Princeton University and LICENSEE agrees to preserve same.")
    assert "===" not in human + animal


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("animals", r"'animals'; there are human, animal: did you mean animal\?"),
        ("zzz", "give a list of your own as a file"),
    ],
)
def test_unknown_data_set_error_suggests_a_way_out(name: str, message: str) -> None:
    with pytest.raises(NameListError, match=message):
        find(name)


IMPORT = """import sys; opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)
import data.catalog
print(*[name for name in opened if name.endswith(('human.txt', 'animal.txt', 'NOTICES'))])
data.catalog.find('human').notice
print(any(name.endswith('NOTICES') for name in opened))"""


def test_catalog_import_opens_no_data_file() -> None:
    root = find("human").file.parents[1]
    done = subprocess.run([sys.executable, "-c", IMPORT], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "True"]
