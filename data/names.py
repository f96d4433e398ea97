"""Read, check and normalise a list of names, and split it into train, dev and test."""

import hashlib
import random
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from models.spelling import normalize

MIN_NAMES = 100
MAX_LENGTH = 64

_BYTE_ORDER_MARK = "\ufeff"
_SHOWN_LINES = 5
_PLURALS = {
    "empty": ("empty line", "empty lines"),
    "repeated": ("repeated line", "repeated lines"),
    "placeholder": ("placeholder", "placeholders"),
}


class NameListError(ValueError):
    """A list or data set that cannot be used.

    `str(error)` is one line: which one, the problem, what is allowed, what to do.
    """


@dataclass(frozen=True)
class NameList:
    """Clean names, each once, in order of first appearance.

    `dropped`: reason ("empty", "repeated", "placeholder") to lines dropped, only reasons that occurred.
    `sha256`: of the file's bytes as they lie on disk, in hexadecimal.
    """

    names: tuple[str, ...]
    dropped: Mapping[str, int]
    sha256: str

    def summary(self) -> str:
        """Return one line, e.g. "29,611 names; dropped 2,559 repeated lines, 8 placeholders"."""
        kept = f"{len(self.names):,} names"
        lost = [f"{count:,} {_PLURALS[reason][count != 1]}" for reason, count in self.dropped.items()]
        return f"{kept}; dropped {', '.join(lost)}" if lost else kept


@dataclass(frozen=True)
class Split:
    """Three parts of a list with no name in common: 80, 10 and 10 per cent of its distinct names."""

    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]


def load_names(path: Path, placeholders: Collection[str] = ()) -> NameList:
    """Read a UTF-8 list with one name per line, in any script, and return its distinct normalised names.

    A byte order mark and CRLF line ends are fine. Empty lines, repeats and `placeholders` are dropped and counted.
    Raises `NameListError` if the file is missing, empty or binary, has fewer than `MIN_NAMES` distinct names, or
    has names longer than `MAX_LENGTH` characters.
    """
    content = _read(path)
    lines = [line.strip(" \t\r") for line in _decode(path, content).split("\n")]
    _refuse_control_characters(path, lines)
    if lines[-1] == "":  # what follows the final newline is no line
        lines.pop()
    normal = [normalize(line) for line in lines]
    _refuse_long_names(path, normal)
    names, dropped = _clean(normal, {normalize(word) for word in placeholders})
    _refuse_few_names(path, len(names))
    return NameList(names, dropped, hashlib.sha256(content).hexdigest())


def split_names(names: Sequence[str], seed: int) -> Split:
    """Shuffle the distinct `names` with `random.Random(seed)` and cut them at 80 and 90 per cent."""
    shuffled = list(dict.fromkeys(names))
    random.Random(seed).shuffle(shuffled)
    n1, n2 = int(0.8 * len(shuffled)), int(0.9 * len(shuffled))
    return Split(tuple(shuffled[:n1]), tuple(shuffled[n1:n2]), tuple(shuffled[n2:]))


def _clean(lines: Iterable[str], placeholders: Collection[str]) -> tuple[tuple[str, ...], Mapping[str, int]]:
    seen: dict[str, None] = {}
    dropped: Counter[str] = Counter()
    for line in lines:
        if not line:
            dropped["empty"] += 1
        elif line in seen:
            dropped["repeated"] += 1
        else:
            seen[line] = None
            dropped["placeholder"] += line in placeholders
    counts = {reason: dropped[reason] for reason in _PLURALS if dropped[reason]}
    return tuple(name for name in seen if name not in placeholders), MappingProxyType(counts)


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise NameListError(f"{path} is a folder; give a text file with one name per line.")
    if not path.is_file():
        raise NameListError(f"{path} is not a readable file; give a text file with one name per line.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NameListError(f"{path} cannot be read ({error.strerror}); check who may read it.") from error
    if not content.strip():
        raise NameListError(f"{path} is empty; give at least {MIN_NAMES} distinct names, one a line.")
    return content


def _decode(path: Path, content: bytes) -> str:
    if b"\0" in content:
        raise NameListError(f"{path} is binary (it has NUL bytes); give UTF-8 text with one name per line.")
    try:
        return content.decode("utf-8").removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NameListError(
            f"{path} is binary or not UTF-8 (first on line {line}); save it as UTF-8 text with one name per line."
        ) from error


def _refuse_control_characters(path: Path, lines: Sequence[str]) -> None:
    bad = [number for number, line in enumerate(lines, start=1) if any(map(_is_control, line))]
    if bad:
        raise NameListError(
            f"{path} has control characters on {_places(bad)}; names are plain text, one a line: remove them."
        )


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp") or character == _BYTE_ORDER_MARK


def _refuse_long_names(path: Path, names: Sequence[str]) -> None:
    bad = [number for number, name in enumerate(names, start=1) if len(name) > MAX_LENGTH]
    if bad:
        raise NameListError(
            f"{path} has names longer than {MAX_LENGTH} characters on {_places(bad)}; "
            f"a name has 1 to {MAX_LENGTH}: put one name on each line, or remove these."
        )


def _refuse_few_names(path: Path, count: int) -> None:
    if count < MIN_NAMES:
        raise NameListError(f"{path} has {count} distinct names; at least {MIN_NAMES} are needed: add more.")


def _places(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:_SHOWN_LINES])
    rest = len(numbers) - _SHOWN_LINES
    lines = "line" if len(numbers) == 1 else "lines"
    return f"{lines} {shown} and {rest:,} more" if rest > 0 else f"{lines} {shown}"
