"""Assign the nodes of a graph to columns, and order each column so that few lines cross.

This is layered graph drawing after Sugiyama, Tagawa and Toda (1981). A line that passes a column gets a dummy item
there. Columns are sorted by the mean position of their neighbours, from left to right and back, while that reduces the
number of crossings.
"""

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

ROUNDS = 4


@dataclass(frozen=True)
class Item:
    """A node in its column, or the dummy item (`rail`) of a line that passes the column."""

    node: int
    column: int
    is_rail: bool


@dataclass(frozen=True)
class Columns:
    """Columns from left to right, each from top to bottom.

    `left[i]` and `right[i]` are the neighbours of item i in the adjacent columns, as indices into `items`. The first
    items are the nodes.
    """

    items: tuple[Item, ...]
    columns: tuple[tuple[int, ...], ...]
    left: tuple[tuple[int, ...], ...]
    right: tuple[tuple[int, ...], ...]


def arrange(operands: Sequence[Sequence[int]]) -> Columns:
    """Return the columns of a graph.

    `operands` lists the operands of each node, which come before it. The last node depends on all others.
    """
    column = _columns(operands)
    last_used = list(column)
    for node, made_of in enumerate(operands):
        for operand in made_of:
            last_used[operand] = max(last_used[operand], column[node] - 1)
    items = [Item(node, at, False) for node, at in enumerate(column)]
    # A node's lines share one rail as far as they go.
    rail = {(node, column[node]): node for node in range(len(items))}
    for node in range(len(operands)):
        for at in range(column[node] + 1, last_used[node] + 1):
            rail[node, at] = len(items)
            items.append(Item(node, at, True))
    left: list[list[int]] = [[] for _ in items]
    right: list[list[int]] = [[] for _ in items]
    for i, item in enumerate(items):
        before = [item.node] if item.is_rail else list(dict.fromkeys(operands[item.node]))
        for node in before:
            left[i].append(rail[node, item.column - 1])
            right[rail[node, item.column - 1]].append(i)
    return _sorted(Columns(tuple(items), _as_they_come(items), _frozen(left), _frozen(right)))


def _columns(operands: Sequence[Sequence[int]]) -> list[int]:
    """Return the column of each node: directly before the first node that uses it."""
    to_end = [0] * len(operands)
    for node in reversed(range(len(operands))):
        for operand in operands[node]:
            to_end[operand] = max(to_end[operand], to_end[node] + 1)
    return [max(to_end) - steps for steps in to_end]


def _as_they_come(items: Sequence[Item]) -> tuple[tuple[int, ...], ...]:
    columns: list[list[int]] = [[] for _ in range(1 + max(item.column for item in items))]
    for i in sorted(range(len(items)), key=lambda i: items[i].node):
        columns[items[i].column].append(i)
    return _frozen(columns)


def _frozen(lists: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, lists))


def _sorted(start: Columns) -> Columns:
    """Return the order with the fewest crossings after some rounds of sorting."""
    columns = [list(column) for column in start.columns]
    best, fewest = start.columns, crossings(start.columns, start.right)
    for round_ in range(ROUNDS):
        if not fewest:
            break
        rightwards = round_ % 2 == 0
        _sort(columns if rightwards else columns[::-1], start.left if rightwards else start.right)
        if (now := crossings(columns, start.right)) < fewest:
            best, fewest = _frozen(columns), now
    return Columns(start.items, best, start.left, start.right)


def _sort(columns: Sequence[list[int]], neighbours: Sequence[Sequence[int]]) -> None:
    """Sort each column but the first by the mean place of each item's neighbours in the column before it."""
    for before, column in pairwise(columns):
        place = {item: i for i, item in enumerate(before)}
        own = {item: float(i) for i, item in enumerate(column)}
        for item in column:
            if near := neighbours[item]:
                own[item] = sum(place[other] for other in near) / len(near)
        column.sort(key=own.__getitem__)


def crossings(columns: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> int:
    """Return how many pairs of lines between neighbouring columns cross."""
    count = 0
    for column, after in pairwise(columns):
        place = {item: i for i, item in enumerate(after)}
        seen: list[int] = []
        for item in column:
            ends = sorted(place[other] for other in right[item])
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count
