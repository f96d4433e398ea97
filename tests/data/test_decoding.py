"""From bytes to text: byte order marks, encodings that must be confirmed, and files that are no text."""

import codecs
import gzip
import io
import struct
import zipfile

import pytest

from data import NameListError
from tests.data.lists import FOLDED, NAMES, lines, read


def test_byte_order_mark_gives_the_encoding() -> None:
    for encoding, mark in (("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", b"\xfe\xff")):
        assert read(mark + lines("{name}").encode(encoding))[0] == FOLDED


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1252", ["José", "Iñigo", "Zoé", "André", "François", "Jürgen"]),
        ("cp949", ["서숙", "경현", "훈숙", "예민", "은민", "진아"]),
        ("cp1251", ["Иван", "Мария", "Сергей", "Анна", "Ольга", "Дмитрий"]),
        ("shift_jis", ["太郎", "花子", "次郎", "美咲", "健太", "直子"]),
        ("cp1253", ["Γιώργος", "Μαρία", "Νίκος", "Ελένη", "Δημήτρης"]),
    ],
)
def test_other_encodings_are_guessed_and_must_be_confirmed(encoding: str, names: list[str]) -> None:
    content = "\n".join([*names * 4, *(NAMES if encoding == "cp1252" else [])]).encode(encoding)
    with pytest.raises(NameListError, match=f"--encoding {encoding}: {names[0]}, {names[1]}"):
        read(content)
    if encoding == "cp1252":
        assert read(content, encoding=encoding)[0][: len(names)] == tuple(name.lower() for name in names)


def test_utf_16_without_a_mark_is_named() -> None:
    with pytest.raises(NameListError, match="if it is UTF-16, give --encoding utf-16-le"):
        read(lines("{name}").encode("utf-16-le"))
    assert read(lines("{name}").encode("utf-16-le"), encoding="utf-16-le")[0] == FOLDED


@pytest.mark.parametrize("form", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "names", ["Αλέξης\nΜαρία", "Иван\r\nМария", "太郎\n花子\n美咲", "서숙\n경현\n훈숙", "דוד\nשרה"]
)
def test_utf_16_of_any_script_is_named(names: str, form: str) -> None:
    with pytest.raises(NameListError, match=f"if it is UTF-16, give --encoding {form}"):
        read(f"{names}\n".encode(form) * 20)


def test_binary_is_not_called_utf_16() -> None:
    for content in (bytes(range(256)) * 20, struct.pack("<900f", *(i / 7 for i in range(900)))):
        with pytest.raises(NameListError, match=r"give UTF-8 text with one name per line\.$"):
            read(content)


def _zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_zipped("xl/workbook.xml"), "is a spreadsheet: save the sheet as CSV"),
        (_zipped("names.txt"), "is a zip archive: unpack it"),
        (gzip.compress(b"x"), "is a gzip archive: unpack it"),
        (b"\x89PNG\r\n\x1a\n", "is an image: type or copy the names"),
        (b"%PDF-1.7", "is a PDF: copy the names"),
        (b"SQLite format 3\0", "is an SQLite database: export the table"),
    ],
    # Archives hold the time at which they are made.
    ids=["sheet", "zip", "gzip", "image", "PDF", "database"],
)
def test_files_that_are_no_text_are_named_with_what_to_do(content: bytes, message: str) -> None:
    with pytest.raises(NameListError, match=message):
        read(content)
