"""From a file's bytes to its text: byte order marks, encodings, line ends. Nothing about names."""

import codecs
import re
import unicodedata

from charset_normalizer import from_bytes

from data.errors import NameListError

# The first bytes of files that are no text, what they are, and what to do with them.
_SPREADSHEET = "save the sheet as CSV (UTF-8), and give that file"
_ARCHIVE = "unpack it, and give the text file inside"
_IMAGE = "type or copy the names into a text file, one on each line"
_SIGNATURES = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", _SPREADSHEET),
    (b"\x1f\x8b", "a gzip archive", _ARCHIVE),
    (b"BZh", "a bzip2 archive", _ARCHIVE),
    (b"\xfd7zXZ\0", "an xz archive", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _ARCHIVE),
    (b"Rar!\x1a\x07", "a rar archive", _ARCHIVE),
    (b"(\xb5/\xfd", "a zstd archive", _ARCHIVE),
    (b"%PDF-", "a PDF", "copy the names into a text file, one on each line"),
    (b"\x89PNG\r\n", "an image", _IMAGE),
    (b"\xff\xd8\xff", "an image", _IMAGE),
    (b"GIF8", "an image", _IMAGE),
    (b"PAR1", "a Parquet file", "save the column of names as CSV, and give that file"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV, and give that file"),
)
# Folders of documents that are zip archives inside.
_ZIP = b"PK\x03\x04"
_SHEETS = (b"xl/", b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet")
# Byte order marks; that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings in which any bytes are text: a guess must make sense as words, which charset_normalizer judges.
_CANDIDATES = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r", "mac_roman"),
    *("cp949", "shift_jis", "euc_jp", "gb18030", "big5", "iso8859_2"),
]
_SHOWN = 3
# Bytes in which UTF-16 is looked for, and the share of its characters that text has.
_SEEN, _MOSTLY_TEXT = 4096, 0.98
_LINE_ENDS = frozenset("\r\n")
_LINE_END = re.compile(r"\r\n?")


def decode(content: bytes, source: str, encoding: str | None = None) -> str:
    """Return the text of `content`, its lines ended by "\\n": by its byte order mark, by `encoding`, or else as UTF-8.

    `source` names the file in errors. Raises `NameListError` for what is no text, and, with a guess to confirm, for
    text in another encoding.
    """
    if encoding is None:
        _refuse_signatures(content, source)
        encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    text = _decoded(content, source, encoding) if encoding else _utf8(content, source)
    return _LINE_END.sub("\n", text.removeprefix("\ufeff"))


def _refuse_signatures(content: bytes, source: str) -> None:
    if content.startswith(_ZIP):
        is_sheet = any(sign in content[:4096] or sign in content[-65_536:] for sign in _SHEETS)
        kind, advice = ("a spreadsheet", _SPREADSHEET) if is_sheet else ("a zip archive", _ARCHIVE)
        raise NameListError(f"{source} is {kind}: {advice}.")
    for signature, kind, advice in _SIGNATURES:
        if content.startswith(signature):
            raise NameListError(f"{source} is {kind}: {advice}.")


def _decoded(content: bytes, source: str, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NameListError(f"{source} is not {encoding} (first on line {line}); give its --encoding.") from None
    except (LookupError, ValueError):
        raise NameListError(
            f"--encoding {encoding} is not an encoding of Python; examples: utf-8, utf-16, cp1252, latin-1, cp949."
        ) from None


def _utf8(content: bytes, source: str) -> str:
    if b"\0" in content:
        wide = _guess_wide(content)
        advice = f"; if it is UTF-16, give --encoding {wide}" if wide else ""
        raise NameListError(
            f"{source} is binary (it has NUL bytes); give UTF-8 text with one name per line{advice}."
        ) from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"{source} is binary or not UTF-8 (first on line {line})"
        raise NameListError(f"{problem}{_guesses(content)}") from None


def _guesses(content: bytes) -> str:
    """Return how the bytes read in the likely encodings, and what to do."""
    matches = list(from_bytes(content, cp_isolation=_CANDIDATES))
    # The most common one comes first: the others differ from it in few letters.
    matches.sort(key=lambda match: match.encoding != _CANDIDATES[0])
    readings: dict[str, str] = {}
    for match in matches:
        shown = ", ".join([row.strip() for row in str(match).splitlines() if not row.isascii()][:_SHOWN])
        if shown not in readings.values():
            readings[match.encoding] = shown
    if not readings:
        return "; save it as UTF-8, or give its --encoding, such as cp1252 or cp949."
    some = "; ".join(f"--encoding {name}: {shown}" for name, shown in list(readings.items())[:_SHOWN])
    return f". Give the encoding in which these names are right, or save it as UTF-8. {some}."


def _guess_wide(content: bytes) -> str:
    """Return the form of UTF-16 without a byte order mark in which most characters are text, or nothing."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    half = len(content) / 4
    # Most characters are below 256.
    if odd > half > even:
        return "utf-16-le"
    if even > half > odd:
        return "utf-16-be"
    # In other scripts only line ends and blanks are; read in the wrong order, these are no characters.
    start = content[: min(_SEEN, len(content) // 2 * 2)]
    return next((form for form in ("utf-16-le", "utf-16-be") if _is_likely(start, form)), "")


def _is_likely(start: bytes, form: str) -> bool:
    """Return whether the first bytes are lines of text in a form of UTF-16."""
    try:
        text = start.decode(form)
    except UnicodeDecodeError:
        return False
    # Letters, marks, numbers, signs and separators; the rest are controls, unassigned and private characters.
    likely = sum(sign in "\r\n\t" or unicodedata.category(sign)[0] != "C" for sign in text)
    return likely >= _MOSTLY_TEXT * len(text) and not _LINE_ENDS.isdisjoint(text)
