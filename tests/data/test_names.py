"""Tests of `data.names`: what a list becomes, what is refused, how it is split."""

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.names import NameListError, load_names, split_names

HUNDRED = [f"name{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(100)]
# Letters that are their own lower case and composed form, of several scripts.
LETTERS = st.sampled_from("abzéñøœßđžабвяёαβωϊאבתابتकखग一二山あかンヌ한글ႠกขქართულიՀ'-. ".lower())
NAMES = st.text(LETTERS, min_size=1, max_size=12).map(str.strip).filter(bool)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_load_normalises_and_counts_what_it_drops(tmp_path: Path) -> None:
    """Case, blanks, CRLF and a byte order mark vanish; empty, repeated and placeholder lines are counted."""
    lines = ["Zoë", " zoe\u0308\t", "", "  ", "ZOË", "Baby", "baby", "O'Brien", "mary ann", "J.-P.", *HUNDRED]
    path = written(tmp_path, "\ufeff" + "\r\n".join(lines) + "\r\n")
    loaded = load_names(path, placeholders={"BABY"})
    assert loaded.names == ("zoë", "o'brien", "mary ann", "j.-p.", *HUNDRED)
    assert dict(loaded.dropped) == {"empty": 2, "repeated": 3, "placeholder": 1}
    assert loaded.summary() == "104 names; dropped 2 empty lines, 3 repeated lines, 1 placeholder"
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_load_counts_nothing_where_nothing_is_dropped(tmp_path: Path) -> None:
    """A clean list, with or without a final newline, has an empty count and a short summary."""
    for end in ("", "\n"):
        loaded = load_names(written(tmp_path, "\n".join(HUNDRED) + end))
        assert (loaded.names, dict(loaded.dropped), loaded.summary()) == (tuple(HUNDRED), {}, "100 names")


@given(names=st.lists(NAMES, max_size=30))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_load_keeps_names_of_any_script(tmp_path: Path, names: list[str]) -> None:
    """Names that are already in normal form come back letter by letter, in order of first appearance."""
    loaded = load_names(written(tmp_path, "\n".join([*names, *HUNDRED])))
    assert loaded.names == tuple(dict.fromkeys([*names, *HUNDRED]))
    assert len(loaded.names) + sum(loaded.dropped.values()) == len(names) + 100


def test_load_takes_unusual_separators_as_no_line_ends(tmp_path: Path) -> None:
    """Only a newline ends a line: other separators are refused with their line, never used to cut a name in two."""
    for separator in ("\u2028", "\x85", "\x0b", "\x1c", "\r"):
        path = written(tmp_path, "\n".join([*HUNDRED, f"two{separator}names"]))
        with pytest.raises(NameListError, match="control characters on line 101;"):
            load_names(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give at least 100"),
        (b"\n \r\n\t\n", "is empty; give at least 100"),
        (b"\xef\xbb\xbf\n", "has 0 distinct names; at least 100 are needed"),
        (b"anna\0bob\n", "is binary .* give UTF-8 text"),
        (b"anna\nbj\xf6rn\n", "not UTF-8 \\(first on line 2\\); save it as UTF-8"),
        ("\n".join(HUNDRED[:99] * 2).encode(), "has 99 distinct names; at least 100 are needed"),
        ("\n".join([*HUNDRED, "a\x07b", "ok", "c\td"]).encode(), "control characters on lines 101, 103;"),
        ("\n".join([*HUNDRED, "x" * 65]).encode(), "longer than 64 characters on line 101;"),
        ("\n".join(["y" * 70] * 8).encode(), "longer than 64 characters on lines 1, 2, 3, 4, 5 and 3 more;"),
    ],
)
def test_load_refuses_with_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    """A list that cannot be used is refused in one line that names the file, the fault and the way out."""
    path = written(tmp_path, content)
    with pytest.raises(NameListError, match=message) as caught:
        load_names(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_load_accepts_the_limits(tmp_path: Path) -> None:
    """64 characters, not bytes, are allowed, and so are exactly 100 names."""
    loaded = load_names(written(tmp_path, "\n".join([*HUNDRED[:99], "é" * 64])))
    assert len(loaded.names) == 100
    assert loaded.names[-1] == "é" * 64


def test_load_refuses_missing_files_and_folders(tmp_path: Path) -> None:
    """A path without a file, and a folder, are told apart and refused."""
    with pytest.raises(NameListError, match="is no file"):
        load_names(tmp_path / "absent.txt")
    with pytest.raises(NameListError, match="is a folder"):
        load_names(tmp_path)


def test_placeholders_count_towards_no_minimum(tmp_path: Path) -> None:
    """A list of 100 names of which one is a placeholder has 99, and is refused."""
    with pytest.raises(NameListError, match="99 distinct names"):
        load_names(written(tmp_path, "\n".join(HUNDRED)), placeholders={HUNDRED[3]})


@given(names=st.lists(NAMES, min_size=1, max_size=60), seed=st.integers(0, 2**53 - 1))
def test_split_shares_out_every_distinct_name_once(names: list[str], seed: int) -> None:
    """The parts have no name in common, miss none, and have 80, 10 and 10 per cent of the distinct names."""
    split = split_names(names, seed)
    parts = (*split.train, *split.dev, *split.test)
    n = len(set(names))
    assert len(parts) == n
    assert set(parts) == set(names)
    assert (len(split.train), len(split.train) + len(split.dev)) == (n * 8 // 10, n * 9 // 10)


def test_split_depends_on_its_seed_alone() -> None:
    """The same seed gives the same parts whatever the global generator does; another seed gives others."""
    random.seed(1)
    before = random.getstate()
    first = split_names(HUNDRED, 42)
    assert random.getstate() == before
    random.seed(2)
    assert split_names(HUNDRED, 42) == first
    assert split_names(HUNDRED, 43) != first
