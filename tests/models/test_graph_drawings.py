"""Drawings of graphs: DOT and SVG read back by other means, and a layout without overlaps."""

import re
from collections.abc import Sequence
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.autograd.columns import arrange, crossings
from models.autograd.engine import Value, topological
from models.autograd.expression import evaluate
from models.autograd.graph import draw_dot, draw_svg
from models.autograd.layout import BOX_HEIGHT, BOX_WIDTH, RADIUS, REACH, lay_out, spaced

NEURON = "x1 = 2; x2 = 0; w1 = -3; w2 = 1; b = 6.8813735870195432; o = tanh(x1*w1 + x2*w2 + b)"
SVG = "{http://www.w3.org/2000/svg}"


def test_dot_has_values_operations_and_arrows() -> None:
    a, b = Value(2, "a"), Value(-3, "b")
    d = a * b + a
    d.label = "d"
    d.backward()
    assert draw_dot(d) == (
        "digraph {\n  rankdir=LR\n"
        '  v0 [shape=record, label="{ a | data 2 | grad -2 }"]\n'
        '  v1 [shape=record, label="{ b | data -3 | grad 2 }"]\n'
        '  v2 [shape=record, label="{ data -6 | grad 1 }"]\n'
        '  o2 [label="*"]\n  o2 -> v2\n  v0 -> o2\n  v1 -> o2\n'
        '  v3 [shape=record, label="{ d | data -4 | grad 1 }"]\n'
        '  o3 [label="+"]\n  o3 -> v3\n  v2 -> o3\n  v0 -> o3\n}\n'
    )


def test_drawings_of_equal_graphs_are_identical() -> None:
    first, second = evaluate(NEURON), evaluate(NEURON)
    assert draw_dot(first) == draw_dot(second)
    assert draw_svg(first) == draw_svg(second)


@pytest.mark.parametrize("label", ['<b>"&\\{}|', "\x00\x08\n", "a" * 100, "漢字é"])
def test_any_label_gives_valid_dot_and_svg(label: str) -> None:
    value = Value(1, label) + 1
    value.label = label
    ElementTree.fromstring(draw_svg(value))
    for line in draw_dot(value).splitlines():
        assert re.fullmatch(
            r'digraph \{|\}|  rankdir=LR|  \w+ -> \w+|  \w+ \[(shape=record, )?label="(\\.|[^"\\])*"\]', line
        )


def test_svg_shows_values_in_boxes_and_operations_in_circles() -> None:
    root = evaluate(NEURON)
    picture = ElementTree.fromstring(draw_svg(root))
    texts = [(text.text, float(text.attrib["x"]), float(text.attrib["y"])) for text in picture.iter(f"{SVG}text")]
    boxes = [(float(r.attrib["x"]), float(r.attrib["y"])) for r in picture.iter(f"{SVG}rect")]
    order = topological(root)
    assert len(boxes) == len(order) == 10
    for value, (left, top) in zip(order, boxes, strict=True):
        inside = [t for t, x, y in texts if left < x < left + BOX_WIDTH and top < y < top + BOX_HEIGHT]
        expected = [f"data {value.data:.4g}", f"grad {value.grad:.4g}"]
        assert inside == ([value.label, *expected] if value.label else expected)
    circles = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in picture.iter(f"{SVG}circle")]
    signs = [t for cx, cy in circles for t, x, y in texts if abs(x - cx) < 1 and abs(y - cy) < RADIUS]
    assert signs == ["×", "×", "+", "+", "tanh"]


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """Graphs in which all nodes lead to the last one, operands before results."""
    count = draw(st.integers(1, 25))
    operands: list[list[int]] = []
    unused: list[int] = []
    for node in range(count):
        made_of = draw(st.lists(st.integers(0, node - 1), max_size=2)) if node else []
        operands.append(made_of)
        unused = [other for other in unused if other not in made_of] + [node]
    # As many sums as it takes lead the loose ends together.
    while len(unused) > 1:
        operands.append(unused[:2])
        unused = [*unused[2:], len(operands) - 1]
    return operands


@settings(max_examples=200)
@given(graphs())
def test_layout_has_no_overlaps(operands: list[list[int]]) -> None:
    """Operands are left of results; lines begin at boxes, end at circles and pass no box."""
    layout = lay_out(operands)
    extents = []
    for node, (x, y) in enumerate(layout.places):
        left = x - (REACH + RADIUS if operands[node] else BOX_WIDTH / 2)
        extents.append((left, x + BOX_WIDTH / 2, y - BOX_HEIGHT / 2, y + BOX_HEIGHT / 2))
        assert left > 0
        assert x + BOX_WIDTH / 2 < layout.width
        assert BOX_HEIGHT / 2 < y < layout.height - BOX_HEIGHT / 2
    for a, b in combinations(extents, 2):
        assert a[1] < b[0] or b[1] < a[0] or a[3] < b[2] or b[3] < a[2]
    assert [(line.start, line.end) for line in layout.lines] == [
        (o, n) for n, made in enumerate(operands) for o in made
    ]
    for line in layout.lines:
        (x, y), (end_x, end_y) = layout.places[line.start], layout.places[line.end]
        assert x + BOX_WIDTH / 2 < end_x - REACH - RADIUS
        assert line.points[0] == (x + BOX_WIDTH / 2, y)
        assert (
            abs(((line.points[-1][0] - end_x + REACH) ** 2 + (line.points[-1][1] - end_y) ** 2) ** 0.5 - RADIUS) < 0.2
        )
        for (begin, height), (end, same) in list(pairwise(line.points))[1::2]:
            assert height == same
            for left, right, top, bottom in extents:
                assert right <= begin or end <= left or height <= top or height >= bottom


def counted(columns: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> int:
    """Crossings, pair by pair."""
    count = 0
    for column, after in pairwise(columns):
        lines = [(i, after.index(end)) for i, item in enumerate(column) for end in right[item]]
        count += sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in combinations(lines, 2))
    return count


@settings(max_examples=200)
@given(graphs())
def test_sorting_adds_no_crossings_and_counts_them_right(operands: list[list[int]]) -> None:
    grid = arrange(operands)
    assert crossings(grid.columns, grid.right) == counted(grid.columns, grid.right)
    unsorted = [sorted(column, key=lambda i: grid.items[i].node) for column in grid.columns]
    assert crossings(grid.columns, grid.right) <= counted(unsorted, grid.right)
    assert sorted(item for column in grid.columns for item in column) == list(range(len(grid.items)))


def test_trees_have_no_crossings() -> None:
    order = topological(evaluate("tanh(1*2+3*(4-5))/exp(6*7-8)+log(9)*relu(10-11*12)"))
    ids = {value: i for i, value in enumerate(order)}
    grid = arrange([[ids[operand] for operand in value.operands] for value in order])
    assert counted(grid.columns, grid.right) == 0


def test_avoidable_crossings_are_removed() -> None:
    grid = arrange([[], [], [], [], [1, 3], [0, 2], [5, 4]])
    assert counted(grid.columns, grid.right) == 0


THINGS = st.tuples(st.integers(-40, 40), st.sampled_from([2, 5, 9]), st.sampled_from([1, 3]))


@settings(max_examples=200)
@given(st.lists(THINGS, min_size=1, max_size=7))
def test_spacing_is_locally_optimal(things: list[tuple[int, int, int]]) -> None:
    targets, sizes, weights = (list(map(float, each)) for each in zip(*things, strict=True))
    places = spaced(targets, sizes, weights)
    gaps = [(a + b) / 2 for a, b in pairwise(sizes)]

    def cost(at: list[float]) -> float:
        return sum(w * (p - q) ** 2 for w, p, q in zip(weights, at, targets, strict=True))

    assert all(b - a >= gap - 1e-9 for (a, b), gap in zip(pairwise(places), gaps, strict=True))
    for begin in range(len(places)):
        for end in range(begin + 1, len(places) + 1):
            for by in (-0.01, 0.01):
                moved = [p + by * (begin <= i < end) for i, p in enumerate(places)]
                if all(b - a >= gap - 1e-9 for (a, b), gap in zip(pairwise(moved), gaps, strict=True)):
                    assert cost(moved) >= cost(places) - 1e-9
