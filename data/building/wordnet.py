"""Read WordNet's text files: the nouns under a heading, and every word.

Source: Fellbaum (ed.), "WordNet: An Electronic Lexical Database" (1998); the file format is WordNet's wndb(5WN).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_ANIMAL = "05"  # the number of the lexicographer's file noun.animal
_HYPONYM = "~"


@dataclass(frozen=True)
class Synset:
    """A set of words with one meaning.

    It has the lexicographer's file, the words as written, and the offsets of its hyponyms.
    """

    category: str
    words: tuple[str, ...]
    hyponyms: tuple[str, ...]


def parse_nouns(content: bytes) -> Mapping[str, Synset]:
    """Return the synsets of a `data.noun` file by offset."""
    return dict(_parse_synset(line) for line in _entries(content))


def parse_words(indexes: Iterable[bytes]) -> frozenset[str]:
    """Return every word of some `index.*` files, in lower case."""
    return frozenset(line.partition(" ")[0] for content in indexes for line in _entries(content))


def animals_under(synsets: Mapping[str, Synset], headings: Iterable[str]) -> frozenset[str]:
    """Return the offsets of the animal synsets of the words `headings`, and of all under them."""
    animals = {offset: synset for offset, synset in synsets.items() if synset.category == _ANIMAL}
    wanted = set(headings)
    stack = [offset for offset, synset in animals.items() if wanted & set(synset.words)]
    found: set[str] = set()
    while stack:
        offset = stack.pop()
        if offset in animals and offset not in found:
            found.add(offset)
            stack.extend(animals[offset].hyponyms)
    return frozenset(found)


def _entries(content: bytes) -> Iterator[str]:
    """Yield the lines after the licence, whose lines all begin with two blanks."""
    return (line for line in content.decode("latin-1").splitlines() if line and not line.startswith("  "))


def _parse_synset(line: str) -> tuple[str, Synset]:
    fields = line.partition("|")[0].split()
    count = int(fields[3], 16)
    pointers = fields[5 + 2 * count :]
    quads = zip(pointers[0::4], pointers[1::4], pointers[2::4], strict=False)
    hyponyms = tuple(offset for symbol, offset, speech in quads if (symbol, speech) == (_HYPONYM, "n"))
    return fields[0], Synset(fields[1], tuple(fields[4 : 4 + 2 * count : 2]), hyponyms)
