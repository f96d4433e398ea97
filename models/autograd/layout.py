"""Compute the positions of values, operations and lines in pixels from the upper left.

`graph` and the lab's page draw them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.autograd.columns import Columns, arrange

# A value is a box; what made it is a circle to its left.
BOX_WIDTH, BOX_HEIGHT, RADIUS, STALK = 112.0, 58.0, 20.0, 10.0
MARGIN, GAP, RAIL, ROW_GAP = 14.0, 56.0, 22.0, 18.0
# From the middle of an operation's circle to that of its box, and from a column to the next.
REACH = BOX_WIDTH / 2 + STALK + RADIUS
COLUMN = BOX_WIDTH + GAP + STALK + 2 * RADIUS
# Vertical distance between the ends of the lines of an operation.
FAN = 12.0
SWEEPS, RAIL_WEIGHT = 6, 1e6

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """The line from the box of node `start` to the circle of node `end`.

    It is curved from the first to the second point, straight to the third, and so on in turns.
    """

    start: int
    end: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    """The centre of each node's box, the lines, and the total size.

    The circle of an operation is `REACH` to the left of its box.
    """

    places: tuple[Point, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


def lay_out(operands: Sequence[Sequence[int]]) -> Layout:
    """Return the layout of a graph; `operands` as in `columns.arrange`. It is deterministic."""
    grid = arrange(operands)
    heights = _heights(grid)
    # The first column has no operations.
    left = MARGIN + BOX_WIDTH / 2
    points = [(left + item.column * COLUMN, heights[i]) for i, item in enumerate(grid.items)]
    width = max(x for x, _ in points) + BOX_WIDTH / 2 + MARGIN
    height = max(y for _, y in points) + BOX_HEIGHT / 2 + MARGIN
    return Layout(tuple(points[: len(operands)]), _lines(operands, grid, points), width, height)


def _heights(grid: Columns) -> list[float]:
    """Return the vertical centre of each item: near its neighbours', without overlaps."""
    both = [left + right for left, right in zip(grid.left, grid.right, strict=True)]
    heights = [0.0] * len(grid.items)
    for column in grid.columns:
        _place(column, grid, [()] * len(heights), heights)
    for sweep in range(SWEEPS):
        rightwards = sweep % 2 == 0
        near = both if sweep == SWEEPS - 1 else grid.left if rightwards else grid.right
        for column in grid.columns if rightwards else grid.columns[::-1]:
            _place(column, grid, near, heights)
    # At last lines go on as high as they come, and boxes make room.
    onwards = [left if item.is_rail else () for item, left in zip(grid.items, grid.left, strict=True)]
    for column in grid.columns:
        _place(column, grid, onwards, heights)
    top = min(heights) - BOX_HEIGHT / 2 - MARGIN
    return [round(y - top, 1) for y in heights]


def _place(column: Sequence[int], grid: Columns, near: Sequence[Sequence[int]], heights: list[float]) -> None:
    """Move the items of a column to the mean height of their neighbours `near`, if they have any."""
    rails = [grid.items[i].is_rail for i in column]
    placed = spaced(
        [sum(heights[other] for other in near[i]) / len(near[i]) if near[i] else heights[i] for i in column],
        [RAIL if is_rail else BOX_HEIGHT + ROW_GAP for is_rail in rails],
        [RAIL_WEIGHT if is_rail else 1.0 for is_rail in rails],
    )
    for i, y in zip(column, placed, strict=True):
        heights[i] = y


def _lines(operands: Sequence[Sequence[int]], grid: Columns, points: Sequence[Point]) -> tuple[Line, ...]:
    """Return the lines to each node, in the order of its operands."""
    rails = {(item.node, item.column): points[i] for i, item in enumerate(grid.items)}
    lines: list[Line] = []
    for node, made_of in enumerate(operands):
        at = grid.items[node].column
        routes = [[rails[operand, c] for c in range(grid.items[operand].column, at)] for operand in made_of]
        # Those that come from above end above.
        order = sorted(range(len(routes)), key=lambda k: routes[k][-1][1])
        for k, (operand, route) in enumerate(zip(made_of, routes, strict=True)):
            drop = (order.index(k) - (len(routes) - 1) / 2) * FAN
            lines.append(Line(operand, node, _points(route, points[node], drop)))
    return tuple(lines)


def _points(route: Sequence[Point], end: Point, drop: float) -> tuple[Point, ...]:
    """Return the points of a line from its box, past the columns between, into the circle.

    The line ends `drop` below the middle of the circle. It is curved between the first and second point, third and
    fourth, and so on.
    """
    passed: list[Point] = []
    for x, y in route[1:]:
        if passed and passed[-1][1] == y:
            # On at the same height: there is nothing to bend.
            passed.pop()
        else:
            passed.append((x - REACH - RADIUS, y))
        passed.append((x + BOX_WIDTH / 2, y))
    edge = end[0] - REACH - (RADIUS**2 - drop**2) ** 0.5
    return ((route[0][0] + BOX_WIDTH / 2, route[0][1]), *passed, (round(edge, 1), end[1] + drop))


def spaced(desired: Sequence[float], sizes: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return non-overlapping positions of items in a fixed order, as close as possible to `desired`.

    Neighbours are at least half of both sizes apart, and the weighted sum of squared distances to `desired` is minimal.
    This is an isotonic regression by pooling adjacent violators (Ayer et al. 1955).
    """
    before = 0.0
    # After subtracting the minimum distances, items only have to be in order.
    offsets: list[float] = []
    for i, size in enumerate(sizes):
        before += (sizes[i - 1] + size) / 2 if i else 0.0
        offsets.append(before)
    pools: list[tuple[float, float, int]] = []
    for position, offset, weight in zip(desired, offsets, weights, strict=True):
        at, heavy, members = position - offset, weight, 1
        while pools and pools[-1][0] > at:
            other, mass, count = pools.pop()
            at = (at * heavy + other * mass) / (heavy + mass)
            heavy, members = heavy + mass, members + count
        pools.append((at, heavy, members))
    places = [at for at, _, members in pools for _ in range(members)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]
