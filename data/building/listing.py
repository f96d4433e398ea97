"""Write lists and tables of names, and select the names that a list may hold. This module reads no files."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

# The most characters of a name, and the fewest names of the list that each character must be in.
MAX_LENGTH = 40
MIN_NAMES = 20


def lines(names: Iterable[str]) -> bytes:
    """Return a list of names, one on each line."""
    return "".join(f"{name}\n" for name in names).encode()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return tab-separated rows under a header."""
    return lines("\t".join(map(str, row)) for row in (columns, *rows))


def usable(names: Collection[str]) -> frozenset[str]:
    """Return the names without those that are too long or have a rare character.

    Names are dropped until no rare character is left.
    """
    kept = frozenset(name for name in names if len(name) <= MAX_LENGTH)
    while rare := _rare_characters(kept):
        kept = frozenset(name for name in kept if not rare.intersection(name))
    return kept


def _rare_characters(names: Iterable[str]) -> frozenset[str]:
    counts = Counter(character for name in names for character in set(name))
    return frozenset(character for character, count in counts.items() if count < MIN_NAMES)
