"""Read NCBI Taxonomy: common names of animal species, and one-word Latin names.

The package keeps numbers in tries (tax id to record) and texts in long strings of lines (records hold offsets).
Source: Schoch et al., "NCBI Taxonomy: a comprehensive update on curation, resources and tools" (2020).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from data.building.tries import Trie

METAZOA = 33208
_ROOT = 1
# The package's own numbers for ranks; both are "species-level" here.
_SPECIES, _SUBSPECIES = 23, 35
_SEPARATOR = b"\xff"
_TAXON = struct.Struct("<IBBB")  # parent, rank, division, whether the species is named
_OFFSET = struct.Struct("<I")


@dataclass
class Lineage:
    """The lineage of taxa: answers which of `kinds`, by tax id, is a taxon's nearest ancestor; caches the answers."""

    taxa: Trie
    kinds: Mapping[int, str]
    known: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        self.known = {_ROOT: "", **self.kinds}

    def rank(self, tax_id: int) -> int:
        """Return the package's number for the taxon's rank."""
        return self._record(tax_id)[1]

    def kind(self, tax_id: int) -> str:
        """Return the kind of the taxon or of its nearest ancestor that has one, or an empty string."""
        path = []
        while tax_id not in self.known:
            path.append(tax_id)
            tax_id = self._record(tax_id)[0]
        self.known.update(dict.fromkeys(path, self.known[tax_id]))
        return self.known[tax_id]

    def _record(self, tax_id: int) -> tuple[int, int]:
        prefix = str(tax_id).encode() + _SEPARATOR
        parent, rank, *_ = _TAXON.unpack(next(self.taxa.starting_with(prefix))[len(prefix) :])
        return parent, rank


def species_of(lineage: Lineage, offsets: Trie, texts: bytes) -> Iterator[tuple[str, str]]:
    """Yield one common name, in lower case, and the kind of each species and subspecies that has both."""
    for tax_id, offset in _offsets(offsets).items():
        if lineage.rank(tax_id) in (_SPECIES, _SUBSPECIES) and (kind := lineage.kind(tax_id)):
            yield _line_at(texts, offset).lower(), kind


def species_names(taxa: Trie, offsets: Trie, texts: bytes) -> tuple[str, ...]:
    """Return one common name, in lower case, of each animal species and subspecies with one."""
    return tuple(name for name, _ in species_of(Lineage(taxa, {METAZOA: "animal"}), offsets, texts))


def single_word_names(texts: bytes) -> frozenset[str]:
    """Return the names of a string of lines that are one word, in lower case."""
    return frozenset(line.lower() for line in texts.decode().split("\n") if line and " " not in line)


def _offsets(offsets: Trie) -> Mapping[int, int]:
    return dict(_parse_offset(key) for key in _keys(offsets))


def _keys(trie: Trie) -> Iterator[bytes]:
    return trie.starting_with(b"")


def _parse_offset(key: bytes) -> tuple[int, int]:
    tax_id, _, record = key.partition(_SEPARATOR)
    return int(tax_id), _OFFSET.unpack(record)[0]


def _line_at(texts: bytes, offset: int) -> str:
    return texts[offset : texts.index(b"\n", offset)].decode()
