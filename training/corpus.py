"""A list of names for training, with its source, vocabulary and split."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from data import CATALOG, RELATIVES, DataSet, NameListError, Split, find, load_names, split_names
from models import Vocabulary
from models.manifest import DataRecord
from models.store.aliases import REASONS

_DATASET = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class Corpus:
    """A list of names and its metadata. `names`: distinct, in order; `summary`: kept and dropped lines."""

    dataset: str
    title: str
    names: tuple[str, ...]
    sha256: str
    split_seed: int
    licence: str = ""
    source: str = ""
    notice: str = ""
    summary: str = ""

    @cached_property
    def split(self) -> Split:
        """Train, dev and test: 80, 10 and 10 per cent of the distinct names."""
        return split_names(self.names, self.split_seed)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The alphabet of the whole list, so that every dev and test name can be scored."""
        return Vocabulary.of(self.names)

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


def _listed(entry: DataSet, split_seed: int) -> Corpus:
    names = load_names(entry.file, entry.placeholders)
    return Corpus(
        dataset=entry.name,
        title=entry.title,
        names=names.names,
        sha256=names.sha256,
        split_seed=split_seed,
        licence=entry.licence,
        source=entry.source,
        notice=entry.notice,
        summary=names.summary(),
    )


def own_corpus(path: Path, name: str, split_seed: int) -> Corpus:
    """Return the user's list at `path` as data set `name`. Raises `NameListError` for a bad list or name."""
    if name in CATALOG or name == REASONS:
        raise NameListError(f"--name {name} is taken by the project itself; choose another for your own list.")
    if not _DATASET.fullmatch(name):
        raise NameListError(
            f"--name {name!r} cannot be a data set's name; allowed: 1 to 32 of a-z, 0-9 and -, a letter first."
        )
    names = load_names(path)
    return Corpus(name, name, names.names, names.sha256, split_seed, source=path.name, summary=names.summary())
