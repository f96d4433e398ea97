"""Select the common names of animals and plants in NCBI Taxonomy, each with its kind. This module reads no files."""

import re

from data.building.listing import usable
from data.building.taxonomy import METAZOA, Lineage, species_of
from data.building.tries import Trie

COLUMNS = ("name", "kind")
MIN_LENGTH = 3
# Each taxon has the kind of its nearest ancestor here; "" is no kind of species that the list holds.
KINDS = {
    33090: "plant",
    METAZOA: "other",
    6447: "mollusc",
    6657: "crustacean",
    6854: "arachnid",
    50557: "insect",
    7742: "fish",  # vertebrates but for the land vertebrates, which follow
    8292: "amphibian",
    8457: "reptile",  # with the birds, which follow
    8782: "bird",
    40674: "mammal",
    9605: "",  # humans
}
_NAME = re.compile(r"[a-z]+(?:[ '-]+[a-z]+)*'?")


def names_and_kinds(taxa: Trie, offsets: Trie, texts: bytes) -> list[tuple[str, str]]:
    """Return one common name of each species and subspecies with its kind, sorted, each row once."""
    found = species_of(Lineage(taxa, KINDS), offsets, texts)
    rows = {(name, kind) for name, kind in found if len(name) >= MIN_LENGTH and _NAME.fullmatch(name)}
    names = usable({name for name, _ in rows})
    return sorted(row for row in rows if row[0] in names)
