"""Read the marisa-trie files of the NCBI package, in plain Python.

A marisa trie is a tree in LOUDS form (level-order unary degree sequence): one bit string in which each node, in
breadth-first order, has a 1 for each child and then a 0. Labels longer than a byte lie in a further trie, whose keys
are read from leaf to root, or in a buffer of tails. Source: Jacobson, "Space-efficient static trees and graphs" (1989);
S. Yata's marisa-trie, https://github.com/s-yata/marisa-trie (the file layout).
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, compress

_MAGIC = b"We love Marisa.\0"
_SWAP = bytes([1, 0]) + bytes(254)
_DIGITS = bytes(48) + bytes([0, 1]) + bytes(206)


class TrieError(ValueError):
    """Bytes that are no marisa trie, or end before it does."""


@dataclass(frozen=True)
class Trie:
    """One level of a trie.

    `links[n]` numbers the long label of node n; `further` or `tails` hold those labels.
    """

    terminal: bytes  # one 0 or 1 for each node
    first: "array[int]"  # the bit where a node's children begin
    parents: "array[int]"  # the bit that stands for a node
    bases: bytes
    linked: bytes
    links: "array[int]"
    further: "Trie | None"
    tails: bytes
    tail_ends: bytes

    @classmethod
    def parse(cls, content: bytes) -> "Trie":
        """Return the trie in a file's `content`. Raises `TrieError`."""
        if not content.startswith(_MAGIC):
            raise TrieError("The file is no marisa trie; give the file as the package has it.")
        return _read_trie(_Reader(content, len(_MAGIC)))

    def starting_with(self, prefix: bytes) -> Iterator[bytes]:
        """Yield every key that starts with `prefix`, in no particular order."""
        stack = [(0, b"")]
        while stack:
            node, key = stack.pop()
            if self.terminal[node] and key.startswith(prefix):
                yield key
            for child in self._children(node):
                longer = key + self._label(child)
                if longer.startswith(prefix) or prefix.startswith(longer):
                    stack.append((child, longer))

    def _children(self, node: int) -> range:
        start = self.first[node]
        end = self.first[node + 1] - 1
        return range(start - node - 1, end - node - 1)

    def _label(self, node: int) -> bytes:
        if not self.linked[node]:
            return self.bases[node : node + 1]
        link = self.links[node]
        if self.further is not None:
            return self.further._upwards(link)
        return self._tail(link)

    def _upwards(self, node: int) -> bytes:
        """Return the labels from `node` up to the root, joined."""
        label = b""
        while node:
            label += self._label(node)
            node = self.parents[node] - node - 1
        return label

    def _tail(self, start: int) -> bytes:
        if self.tail_ends:
            return self.tails[start : self.tail_ends.index(1, start) + 1]
        return self.tails[start : self.tails.index(0, start)]


@dataclass
class _Reader:
    """The place reached in a file's bytes."""

    content: bytes
    place: int

    def number(self, size: int) -> int:
        """Read one little-endian number of `size` bytes."""
        return int.from_bytes(self._take(size), "little")

    def vector(self) -> bytes:
        """Read an array: its size in bytes, its bytes, and padding to a multiple of eight."""
        size = self.number(8)
        content = self._take(size)
        self._take(-size % 8)
        return content

    def bits(self) -> bytes:
        """Read a bit string, as one byte of 0 or 1 for each bit, and skip the indexes that follow it."""
        units = self.vector()
        size, _ones = self.number(4), self.number(4)
        for _index in ("ranks", "select0", "select1"):
            self.vector()
        return _expand(units)[:size]

    def numbers(self) -> list[int]:
        """Read an array of numbers that are all the same few bits wide."""
        units = self.vector()
        width, _mask, size = self.number(4), self.number(4), self.number(8)
        whole = _expand(units)
        if not width:  # every number is zero
            return [0] * size
        places = [whole[bit::width][:size] for bit in range(width)]
        return [sum(bit << i for i, bit in enumerate(column)) for column in zip(*places, strict=True)]

    def _take(self, size: int) -> bytes:
        taken = self.content[self.place : self.place + size]
        if len(taken) != size:
            raise TrieError("The trie ends too early; fetch the package again.")
        self.place += size
        return taken


def _expand(units: bytes) -> bytes:
    """Return one byte of 0 or 1 for each bit of `units`, the lowest bit of each byte first."""
    text = format(int.from_bytes(units, "little"), f"0{8 * len(units)}b") if units else ""
    return text[::-1].encode().translate(_DIGITS)


def _read_trie(reader: _Reader) -> Trie:
    louds, terminal, linked = reader.bits(), reader.bits(), reader.bits()
    bases, extras = reader.vector(), reader.numbers()
    tails, tail_ends = reader.vector(), reader.bits()
    further = _read_trie(reader) if any(linked) and not tails else None
    reader.vector()  # a cache of hot nodes
    reader.number(4), reader.number(4)  # children of the root, settings
    return Trie(
        terminal=terminal,
        first=array("I", (place + 1 for place in compress(range(len(louds)), louds.translate(_SWAP)))),
        parents=array("I", compress(range(len(louds)), louds)),
        bases=bases,
        linked=linked,
        links=_links(bases, linked, extras),
        further=further,
        tails=tails,
        tail_ends=tail_ends,
    )


def _links(bases: bytes, linked: bytes, extras: list[int]) -> "array[int]":
    """Return for each linked node its number; else 0.

    The low byte is in `bases`, the rest in the next of `extras`.
    """
    nodes = zip(bases, linked, accumulate(linked), strict=True)
    return array("Q", (base | extras[rank - 1] << 8 if has else 0 for base, has, rank in nodes))
