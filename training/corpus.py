"""A list of names for training, with its source, vocabulary and split."""

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

from data import (
    CATALOG,
    HUMAN_2018,
    RELATIVES,
    DataSet,
    NameList,
    NameListError,
    ReadOptions,
    Split,
    StyleRows,
    find,
    load_names,
    read_names,
    split_names,
)
from models import Vocabulary
from models.manifest import DataRecord
from models.store.aliases import REASONS
from training.casing import learn_casing

_DATASET = re.compile(r"[a-z][a-z0-9-]{0,31}")
STANDARD_INPUT = Path("-")
# Values of a style that a description names.
_SHOWN_VALUES = 14


@dataclass(frozen=True)
class Corpus:
    """A list of names and its metadata. `names`: distinct, in order; `description`: lines that say what was read.

    `weights`: how often each name is drawn in training, None for all alike. `styles`: the styles of each name, None
    without any; the weights of its rows count among the rows of one name. `table`: the columns of names, weights and
    styles of an own list as tab-separated text, kept with it; empty without weights and styles, and for shipped lists.
    `casing`: how an own list spells names (see `models.casing`), empty for title case. `locale`: tr, az or "".
    """

    dataset: str
    title: str
    names: tuple[str, ...]
    sha256: str
    split_seed: int
    licence: str = ""
    source: str = ""
    notice: str = ""
    description: tuple[str, ...] = ()
    weights: tuple[float, ...] | None = None
    styles: StyleRows | None = None
    table: str = ""
    casing: Mapping[str, str] = field(default_factory=dict)
    locale: str = ""

    @cached_property
    def split(self) -> Split:
        """Train, dev and test: 80, 10 and 10 per cent of the distinct names."""
        return split_names(self.names, self.split_seed)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The alphabet of the whole list, so that every dev and test name can be scored."""
        return Vocabulary.of_clusters(self.names, self.locale)

    def described(self) -> list[str]:
        """Return lines that say what was read, the first with the data set's name."""
        first, *others = self.description
        return [f"{self.dataset}: {first}", *(f"  {line}" for line in others)]

    def weights_of(self, names: Sequence[str]) -> list[float] | None:
        """Return the weights of some of the names, or None where all names are alike."""
        if self.weights is None:
            return None
        weights = dict(zip(self.names, self.weights, strict=True))
        return [weights[name] for name in names]

    def record(self) -> DataRecord:
        """Return the record of the list for the manifest."""
        return DataRecord(
            title=self.title,
            sha256=self.sha256,
            names=len(self.names),
            longest=max(map(len, self.names)),
            licence=self.licence,
            source=self.source,
            split_seed=self.split_seed,
        )


def shipped_corpus(name: str, split_seed: int) -> Corpus:
    """Return a shipped list. Raises `NameListError`."""
    return _listed(find(name), split_seed)


def relatives_corpus(split_seed: int) -> Corpus:
    """Return the list that pretrains the animal network. Raises `NameListError`."""
    return replace(_listed(RELATIVES, split_seed), notice=CATALOG["animal"].notice)


def human_2018_corpus(split_seed: int) -> Corpus:
    """Return the list that the lessons measure on. Raises `NameListError`."""
    return _listed(HUMAN_2018, split_seed)


# A release trains several models on each list, and a long one takes seconds to read.
@lru_cache(maxsize=4)
def _listed(entry: DataSet, split_seed: int) -> Corpus:
    """Return a list of the project. Its names weigh alike, whatever its rows weigh."""
    names = load_names(entry.file, entry.placeholders, entry.reading)
    return Corpus(
        dataset=entry.name,
        title=entry.title,
        names=names.names,
        sha256=names.sha256,
        split_seed=split_seed,
        licence=entry.licence,
        source=entry.source,
        notice=entry.notice,
        description=(names.summary(),) if names.styles is None else tuple(_described(names, names.styles)),
        styles=names.styles,
    )


def _described(names: NameList, styles: StyleRows) -> Iterator[str]:
    """Yield lines that say how many rows a table has, and the values of each style."""
    yield f"{len(names.names):,} names in {len(styles.rows):,} rows"
    for i, column in enumerate(styles.columns, start=1):
        values = sorted({row[i] for row in styles.rows})
        more = f" and {len(values) - _SHOWN_VALUES:,} more" if len(values) > _SHOWN_VALUES else ""
        yield f"{column}: {', '.join(values[:_SHOWN_VALUES])}{more}"


def own_corpus(path: Path, name: str, split_seed: int, reading: ReadOptions | None = None) -> Corpus:
    """Return the user's list at `path`, or from standard input for "-", as data set `name`.

    Raises `NameListError` for a bad list or name.
    """
    if name in CATALOG or name == REASONS:
        raise NameListError(f"--name {name} is taken by the project itself; choose another for your own list.")
    if not _DATASET.fullmatch(name):
        raise NameListError(
            f"--name {name!r} cannot be a data set's name; allowed: 1 to 32 of a-z, 0-9 and -, a letter first."
        )
    reading = reading or ReadOptions()
    if path == STANDARD_INPUT:
        names, source = read_names(sys.stdin.buffer.read(), "standard input", options=reading), "standard input"
    else:
        names, source = load_names(path, options=reading), path.name
    if names.weights is not None and not 0 < sum(names.weights) < math.inf:
        raise NameListError(f"The weights of {source} add up to {sum(names.weights):g}; a number above 0 is needed.")
    return Corpus(
        dataset=name,
        title=name,
        names=names.names,
        sha256=names.sha256,
        split_seed=split_seed,
        source=source,
        description=tuple(names.describe()),
        weights=names.weights,
        styles=names.styles,
        table=_table(names),
        casing=learn_casing(names.names, names.spelled, names.locale),
        locale=names.locale,
    )


def _table(names: NameList) -> str:
    """Return the names with their weights and styles as tab-separated text with a header."""
    if names.styles is not None:
        header = ("name", *names.styles.columns, "weight")
        rows = [(*row, f"{weight:g}") for row, weight in zip(names.styles.rows, names.styles.weights, strict=True)]
    elif names.weights is not None:
        header = ("name", "weight")
        rows = [(name, f"{weight:g}") for name, weight in zip(names.names, names.weights, strict=True)]
    else:
        return ""
    return "".join("\t".join(cell.replace("\t", " ") for cell in row) + "\n" for row in (header, *rows))
