"""Tests of `data.build` with small packages made here (nothing is fetched) and of `taxonomy` on made-up taxa."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from data import build
from data.building import packages
from data.building.packages import PackageError, fetch, member, run
from data.building.taxonomy import single_word_names, species_names
from data.catalog import CATALOG

BIRTHS = b"Emma,F,18688\r\nAva,F,14924\r\nLiam,M,19837\r\nAva,M,5\r\n"


class Keys:
    """A stand-in for a trie: a plain list of keys."""

    def __init__(self, records: Mapping[int, bytes]) -> None:
        self.keys = [str(number).encode() + b"\xff" + record for number, record in records.items()]

    def starting_with(self, prefix: bytes) -> Iterator[bytes]:
        return (key for key in self.keys if key.startswith(prefix))


def packed(folder: Path, path: str, content: bytes) -> None:
    with tarfile.open(folder / packages.BABY_NAMES.file, "w:gz") as archive:
        entry = tarfile.TarInfo(path)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def test_human_list_keeps_the_files_order(tmp_path: Path) -> None:
    """The first column is put in lower case; order and repeats stay as the source has them."""
    packed(tmp_path, "package/raw_name_source/yob2018.txt", BIRTHS)
    assert build.human_list(tmp_path) == b"emma\nava\nliam\nava\n"


def test_species_names_are_those_of_animals() -> None:
    """Species and subspecies under Metazoa count, a plant, a genus and taxa without a common name do not."""
    parents = {1: (1, 45), 33208: (1, 13), 7: (33208, 9), 70: (7, 23), 71: (70, 35), 8: (1, 23), 72: (7, 23)}
    texts = b"Otter\nSea Otter\nWater Weasels\nOak\n"
    taxa = Keys({number: struct.pack("<IBBB", *record, 0, 0) for number, record in parents.items()})
    offsets = Keys(
        {n: struct.pack("<I", texts.index(t)) for n, t in {70: b"Otter", 71: b"Sea", 7: b"W", 8: b"O"}.items()}
    )
    assert sorted(species_names(taxa, offsets, texts)) == ["otter", "sea otter"]  # type: ignore[arg-type]


def test_latin_names_are_single_words() -> None:
    """Only lines of one word are names of a genus or above."""
    assert single_word_names(b"Lutra\nLutra lutra\nKAKA\n") == {"lutra", "kaka"}


def test_a_list_that_differs_is_never_written_over_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list with another SHA-256 ends in status 1 and is written only to a folder that was asked for."""
    shipped = CATALOG["human"].file.read_bytes()
    monkeypatch.setattr(build, "BUILDERS", {"human": lambda folder: b"emma\n"})
    assert build.main(["--packages", str(tmp_path)]) == 1
    assert "human.txt: 1 lines, sha256 " in capsys.readouterr().out
    assert CATALOG["human"].file.read_bytes() == shipped
    assert build.main(["--packages", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out" / "human.txt").read_bytes() == b"emma\n"


def test_a_list_that_matches_is_reported_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The catalog's own bytes end in status 0; `--check` writes nothing, `--out` does."""
    content = CATALOG["animal"].file.read_bytes()
    monkeypatch.setattr(build, "BUILDERS", {"animal": lambda folder: content})
    assert build.main(["--check", "--packages", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert not (tmp_path / "out").exists()
    assert build.main(["--packages", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "animal.txt").read_bytes() == content
    assert capsys.readouterr().out.count(": as in the catalog\n") == 2


def test_a_folder_of_packages_must_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped `--packages` is refused with its name before anything is fetched."""
    with pytest.raises(SystemExit, match="2"):
        build.main(["--packages", str(tmp_path / "absent")])
    assert "absent is no folder" in capsys.readouterr().err


def test_broken_packages_are_named(tmp_path: Path) -> None:
    """A file that is no archive, or lacks what is sought, is named together with the way out."""
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"no archive")
    with zipfile.ZipFile(tmp_path / "poor.whl", "w") as wheel:
        wheel.writestr("other.txt", "")
    packed(tmp_path, "package/other.txt", b"")
    for file in (broken, tmp_path / "poor.whl", tmp_path / packages.BABY_NAMES.file, tmp_path / "absent.tgz"):
        with pytest.raises(PackageError, match="has no readable sought; delete it and fetch"):
            member(file, "sought")


def test_clients_that_fail_or_are_missing_are_named(tmp_path: Path) -> None:
    """A missing client, a failing one, and one that brings another file each raise one line that says what to do."""
    with pytest.raises(PackageError, match="'no-such-client' is not there; install it"):
        run(("no-such-client",))
    with pytest.raises(PackageError, match="false failed: it gave no reason"):
        run(("false",))
    with pytest.raises(PackageError, match=r"came without a\.tgz; fetch it yourself"):
        fetch(packages.Package("npm a 1", "a.tgz", ("true",)), tmp_path)


def test_one_line_ends_a_build_that_cannot_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `PackageError` ends the command with status 2 and a line on standard error, without a traceback."""

    def fail(folder: Path) -> bytes:
        raise PackageError("npm is not there.")

    monkeypatch.setattr(build, "BUILDERS", {"human": fail})
    assert build.main(["--packages", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: npm is not there.\n"
