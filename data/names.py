"""Read, check and normalise a list of names, and split it into train, dev and test."""

import hashlib
import random
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from data.decoding import decode
from data.errors import NameListError
from data.shapes import ReadOptions, read_text
from data.tables import Reading
from models.spelling import LIKE_APOSTROPHES, TURKIC, clusters, composed, lower_i, normalize, turkic_locale, visible

# Fewer names than the first make no model; below the second its names are few and much alike.
MIN_NAMES, FEW_NAMES = 20, 100
MAX_LENGTH = 64

# Unicode's categories Cc, Zl and Zp.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")
# Nothing is asked for: the file shows what it is.
BY_ITSELF = ReadOptions()
# The share of names in one case from which a list is in one case.
_ONE_CASE = 0.98
_SHOWN_LINES = _SHOWN_NAMES = 5
_SHOWN_CHARACTERS = 80
_PLURALS = {
    "preamble": ("line before the list", "lines before the list"),
    "behind": ("line behind the list", "lines behind the list"),
    "header": ("header", "headers"),
    "comment": ("comment", "comments"),
    "empty": ("empty line", "empty lines"),
    "repeated": ("repeated line", "repeated lines"),
    "placeholder": ("placeholder", "placeholders"),
}


@dataclass(frozen=True)
class StyleRows:
    """What columns of styles say: each row has a name and a value of each of the `columns`; `weights` count rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class NameList:
    """Clean names, each once, in order of first appearance.

    `spelled`: the most frequent spelling of each name, empty for a list in one case. `locale`: tr or az where i and ı
    have capitals of their own. `dropped`: reason ("empty", "repeated", ...) to lines dropped, only reasons that
    occurred. `sha256`: of the file's bytes as they lie on disk and of the options that choose among them, in
    hexadecimal. `shape`: what the file was taken for. `first`: the first names, spelled as in the file. `weights`: how
    often each name counts, None for all alike. `styles`: None without columns of styles. `possible_weights` and
    `possible_styles`: columns that were not asked for.
    """

    names: tuple[str, ...]
    dropped: Mapping[str, int]
    sha256: str
    shape: str = ""
    first: tuple[str, ...] = ()
    weights: tuple[float, ...] | None = None
    styles: StyleRows | None = None
    possible_weights: str = ""
    possible_styles: tuple[str, ...] = ()
    spelled: tuple[str, ...] = ()
    locale: str = ""

    def summary(self) -> str:
        """Return one line, e.g. "29,611 names; dropped 2,559 repeated lines, 8 placeholders"."""
        kept = f"{len(self.names):,} names"
        lost = [f"{count:,} {_PLURALS[reason][count != 1]}" for reason, count in self.dropped.items()]
        return f"{kept}; dropped {', '.join(lost)}" if lost else kept

    def describe(self) -> list[str]:
        """Return lines that say what was read: the file's shape, how many names, the alphabet, and the first names."""
        alphabet = sorted(set().union(*map(clusters, self.names)))
        characters = "".join(alphabet[:_SHOWN_CHARACTERS]) + ("..." if len(alphabet) > _SHOWN_CHARACTERS else "")
        lines = [self.shape, self.summary()] if self.shape else [self.summary()]
        lines += [f"{len(alphabet):,} characters: {characters}", f"first names: {', '.join(self.first)}"]
        if self.possible_weights:
            option = f"--weights {shlex.quote(self.possible_weights)}"
            lines.append(f"column `{self.possible_weights}` has numbers; `{option}` draws frequent names more often")
        for column in self.possible_styles:
            option = f"--style {shlex.quote(column)}"
            lines.append(f"column `{column}` has few values; with `{option}` requests can ask for one of them")
        if len(self.names) < FEW_NAMES:
            lines.append(
                f"Warning: {len(self.names)} names are few, so new ones will be much like them; with {FEW_NAMES} or "
                "more they get better."
            )
        return lines


@dataclass(frozen=True)
class Split:
    """Three parts of a list with no name in common: 80, 10 and 10 per cent of its distinct names."""

    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]


def load_names(path: Path, placeholders: Collection[str] = (), options: ReadOptions = BY_ITSELF) -> NameList:
    """Read a file of names: a list, a table, or one of the other shapes of `shapes`, in any script.

    Empty lines, repeats and `placeholders` are dropped and counted. Raises `NameListError` if the file is missing,
    empty or binary, has fewer than `MIN_NAMES` distinct names, or has names longer than `MAX_LENGTH` characters.
    """
    return read_names(_read(path), str(path), placeholders, options)


def read_names(
    content: bytes, source: str, placeholders: Collection[str] = (), options: ReadOptions = BY_ITSELF
) -> NameList:
    """Return the names in a file's `content`, as `load_names` does; errors call it `source`."""
    if not content.strip():
        raise NameListError(f"{source} is empty; give at least {MIN_NAMES} distinct names, one a line.")
    reading = read_text(decode(content, source, options.encoding), source, options)
    _refuse_control_characters(source, reading)
    locale = turkic_locale("\n".join(reading.names)) if options.locale is None else options.locale
    locale = locale if locale in TURKIC else ""
    one_apostrophe = _one_apostrophe(reading.names)
    normal = [normalize(lower_i(name, locale)).translate(one_apostrophe) for name in reading.names]
    _refuse_long_names(source, reading, normal)
    refused = {normalize(word) for word in placeholders}
    names, dropped = _clean(normal, refused, reading.dropped)
    _refuse_few_names(source, len(names))
    digest = (
        content if replace(options, locale=None, keep_case=False) == BY_ITSELF else content + repr(options).encode()
    )
    if options.locale is not None:
        digest += options.locale.encode()
    spelled = [composed(name).strip().translate(one_apostrophe) for name in reading.names]
    has_spellings = options.keep_case or not _is_in_one_case(spelled)
    return NameList(
        names,
        dropped,
        hashlib.sha256(digest).hexdigest(),
        reading.shape,
        tuple(dict.fromkeys(filter(None, map(visible, reading.names[: 4 * _SHOWN_NAMES]))))[:_SHOWN_NAMES],
        _weights_of(names, normal, reading),
        _styles_of(normal, refused, reading),
        reading.possible_weights,
        reading.possible_styles,
        _most_frequent(names, normal, spelled) if has_spellings else (),
        locale,
    )


def split_names(names: Sequence[str], seed: int) -> Split:
    """Shuffle the distinct `names` with `random.Random(seed)` and cut them at 80 and 90 per cent."""
    shuffled = list(dict.fromkeys(names))
    random.Random(seed).shuffle(shuffled)
    n1, n2 = int(0.8 * len(shuffled)), int(0.9 * len(shuffled))
    return Split(tuple(shuffled[:n1]), tuple(shuffled[n1:n2]), tuple(shuffled[n2:]))


def _one_apostrophe(names: Sequence[str]) -> dict[int, str]:
    """Return what `translate` takes to write the apostrophe that most names have for others that look like it."""
    counts = Counter({sign: sum(name.count(sign) for name in names) for sign in LIKE_APOSTROPHES})
    (usual, _), *others = counts.most_common()
    return {ord(sign): usual for sign, count in others if count}


def _is_in_one_case(names: Sequence[str]) -> bool:
    """Return whether nearly all names that have cased letters have only small ones, or only capitals."""
    cased = [name for name in names if name.lower() != name.upper()]
    # ß stands in lists of capitals.
    capitals = sum(name.replace("ß", "").isupper() for name in cased)
    return max(capitals, sum(map(str.islower, cased))) >= _ONE_CASE * len(cased)


def _most_frequent(names: Sequence[str], normal: Sequence[str], spelled: Sequence[str]) -> tuple[str, ...]:
    """Return the most frequent spelling of each name, the first one of equals."""
    found: dict[str, tuple[int, str]] = {}
    for (name, text), count in Counter(zip(normal, spelled, strict=True)).items():
        if count > found.get(name, (0, ""))[0]:
            found[name] = count, text
    return tuple(found[name][1] for name in names)


def _clean(
    lines: Sequence[str], placeholders: Collection[str], before: Mapping[str, int]
) -> tuple[tuple[str, ...], Mapping[str, int]]:
    seen: dict[str, None] = {}
    dropped = Counter(before)
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


def _weights_of(names: Sequence[str], normal: Sequence[str], reading: Reading) -> tuple[float, ...] | None:
    """Return the sum of the weights of each name's lines."""
    if reading.weights is None:
        return None
    sums = defaultdict[str, float](float)
    for name, weight in zip(normal, reading.weights, strict=True):
        sums[name] += weight
    return tuple(sums[name] for name in names)


def _styles_of(normal: Sequence[str], placeholders: Collection[str], reading: Reading) -> StyleRows | None:
    """Return each distinct row of a name and its styles, with the sum of its weights."""
    if not reading.styles:
        return None
    sums = defaultdict[tuple[str, ...], float](float)
    weights = reading.weights or (1.0,) * len(normal)
    for row, weight in zip(zip(normal, *reading.styles.values(), strict=True), weights, strict=True):
        if row[0] and row[0] not in placeholders:
            sums[row] += weight
    return StyleRows(tuple(reading.styles), tuple(sums), tuple(sums.values()))


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise NameListError(f"{path} is a folder; give a text file with one name per line.")
    if not path.is_file():
        raise NameListError(f"{path} is not a readable file; give a text file with one name per line.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise NameListError(f"{path} cannot be read ({error.strerror}); check who may read it.") from error


def _refuse_control_characters(source: str, reading: Reading) -> None:
    bad = [n for n, name in zip(reading.numbers, reading.names, strict=True) if _CONTROL.search(name)]
    if bad:
        raise NameListError(
            f"{source} has control characters on {_places(bad)}; names are plain text, one a line: remove them."
        )


def _refuse_long_names(source: str, reading: Reading, names: Sequence[str]) -> None:
    bad = [number for number, name in zip(reading.numbers, names, strict=True) if len(name) > MAX_LENGTH]
    if bad:
        raise NameListError(
            f"{source} has names longer than {MAX_LENGTH} characters on {_places(bad)}; "
            f"a name has 1 to {MAX_LENGTH}: put one name on each line, or remove these."
        )


def _refuse_few_names(source: str, count: int) -> None:
    if count < MIN_NAMES:
        raise NameListError(f"{source} has {count} distinct names; at least {MIN_NAMES} are needed: add more.")


def _places(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:_SHOWN_LINES])
    rest = len(numbers) - _SHOWN_LINES
    lines = "line" if len(numbers) == 1 else "lines"
    return f"{lines} {shown} and {rest:,} more" if rest > 0 else f"{lines} {shown}"
