"""Select the words of WordNet and NCBI Taxonomy for the animal list. This module reads no files.

Every rule is a small set, so that a reader can see its effect.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from data.building.wordnet import Synset, animals_under

_HEADINGS = ("chordate", "invertebrate", "larva", "young")
_PEOPLE = ("hominid",)
# Words for a young one of any kind, people included.
_GENERIC = frozenset({"baby", "entire", "offspring", "orphan", "young"})
_WORD = re.compile(r"[a-z]+")
_COMMON_NAME_LENGTHS = range(3, 17)
_RELATIVE_LENGTHS = range(3, 19)


def wordnet_animals(synsets: Mapping[str, Synset]) -> frozenset[str]:
    """Return WordNet's animals that are written as one word of a-z.

    This leaves out capitalised Latin names.
    """
    chosen = animals_under(synsets, _HEADINGS) - animals_under(synsets, _PEOPLE)
    words = {word for offset in chosen for word in synsets[offset].words}
    return frozenset(filter(_WORD.fullmatch, words)) - _GENERIC


def taxonomy_animals(names: Collection[str], words: Collection[str], latin: Collection[str]) -> frozenset[str]:
    """Return common names of one word, and head nouns of at least two names ("treefrog").

    `names`: common names of species in lower case; `words`: all of WordNet's; `latin`: one-word Latin names.
    WordNet's words, Latin names and plurals of other heads are left out.
    """
    distinct = set(names)
    heads = Counter(name.split()[-1] for name in distinct)
    repeated = Counter(name.split()[-1] for name in distinct if " " in name)
    candidates = {name for name in distinct if " " not in name} | {head for head, n in repeated.items() if n >= 2}
    return frozenset(_plain(candidates)) - frozenset(words) - frozenset(latin) - _plurals(heads)


def relatives(
    nouns: Collection[str], names: Iterable[str], latin: Collection[str], animals: Collection[str]
) -> frozenset[str]:
    """Return words spelled like animal names, without these names.

    They are WordNet's nouns, the words of NCBI's common `names`, and every other one-word Latin name in order: half of
    them teach as much as all.

    A network learns from them before it sees the short list of `animals`.
    """
    parts = {part for name in names for part in re.split(r"[ \-']+", name)}
    every = frozenset(nouns) | parts | frozenset(sorted(latin)[::2])
    return frozenset(word for word in every if _WORD.fullmatch(word) and len(word) in _RELATIVE_LENGTHS) - frozenset(
        animals
    )


def _plain(words: Iterable[str]) -> Iterable[str]:
    return (word for word in words if _WORD.fullmatch(word) and len(word) in _COMMON_NAME_LENGTHS)


def _plurals(heads: Collection[str]) -> frozenset[str]:
    return frozenset(head for head in heads if head.endswith("s") and head[:-1] in heads)
