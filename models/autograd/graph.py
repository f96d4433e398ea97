"""Draw the graph of a value: text in Graphviz's DOT language, and SVG without other programs.

The same graph gives the same text. `layout` computes the positions.
"""

from html import escape
from types import MappingProxyType

from models.autograd.engine import Value, topological
from models.autograd.layout import BOX_HEIGHT, BOX_WIDTH, RADIUS, REACH, Line, lay_out

SIGNS = MappingProxyType({"*": "×", "-": "−", "/": "÷", "neg": "−"})
# Longer labels would leave their boxes.
LONGEST = 14
STYLE = """
text { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; fill: #1d2430; text-anchor: middle }
.label { font-weight: 700; font-size: 13px } .sign { font-weight: 700; font-size: 12px } .grad { fill: #7a4d00 }
rect { fill: #fff; stroke: #8a8f98; stroke-width: 1.2 } circle { fill: #e4f1ef; stroke: #0f766e; stroke-width: 1.2 }
path { fill: none; stroke: #8a8f98; stroke-width: 1.4 }
@media (prefers-color-scheme: dark) {
text { fill: #eceff4 } .grad { fill: #f5cf7d }
rect { fill: #1a2029 } circle { fill: #16323a; stroke: #5eead4 }
}
""".strip()


def draw_dot(value: Value) -> str:
    """Return the graph of `value` in Graphviz's DOT language, from left to right.

    Each value is a record with label, data and grad, and each operation an oval before its value. Nodes are numbered
    from the leaves to `value`.
    """
    order = topological(value)
    numbers = {each: i for i, each in enumerate(order)}
    lines = ["digraph {", "  rankdir=LR"]
    for i, each in enumerate(order):
        label = f"{_quoted(each.label)} | " if each.label else ""
        data, grad = format_number(each.data), format_number(each.grad)
        lines.append(f'  v{i} [shape=record, label="{{ {label}data {data} | grad {grad} }}"]')
        if each.operation:
            lines += [f'  o{i} [label="{_quoted(each.operation)}"]', f"  o{i} -> v{i}"]
        lines += [f"  v{numbers[operand]} -> o{i}" for operand in each.operands]
    return "\n".join([*lines, "}"]) + "\n"


def draw_svg(value: Value) -> str:
    """Return the graph of `value` as an SVG document with light and dark colours.

    Each value is a box with label, data and grad, with a circle for its operation to the left.
    """
    order = topological(value)
    numbers = {each: i for i, each in enumerate(order)}
    layout = lay_out([[numbers[operand] for operand in each.operands] for each in order])
    title = (
        f"How {escape(_shown(value.label)) or 'a value'} = {format_number(value.data)} was made, in {len(order)} values"
    )
    size = f'width="{layout.width:g}" height="{layout.height:g}" viewBox="0 0 {layout.width:g} {layout.height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
    ]
    parts += [f'<path d="{_path(line)}"/>' for line in layout.lines]
    for each, (x, y) in zip(order, layout.places, strict=True):
        parts += _operation(each, x, y) + _box(each, x, y)
    return "\n".join([*parts, "</svg>"]) + "\n"


def format_number(number: float) -> str:
    """Format a number with four significant digits."""
    # Zero has no sign here.
    return f"{number + 0.0:.4g}"


def _path(line: Line) -> str:
    (x, y), *others = line.points
    parts = [f"M{x:g} {y:g}"]
    for i, (to_x, to_y) in enumerate(others):
        middle = (x + to_x) / 2
        parts.append(f"H{to_x:g}" if i % 2 else f"C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
    return "".join(parts)


def _operation(value: Value, x: float, y: float) -> list[str]:
    if not value.operation:
        return []
    centre = x - REACH
    sign = SIGNS.get(value.operation, value.operation)
    # As a power like **-0.125 does: it is pressed together to fit into the circle.
    pressed = f' textLength="{2 * RADIUS - 6:g}" lengthAdjust="spacingAndGlyphs"' if len(sign) > 4 else ""
    return [
        f'<path d="M{centre + RADIUS:g} {y:g}H{x - BOX_WIDTH / 2:g}"/>',
        f'<circle cx="{centre:g}" cy="{y:g}" r="{RADIUS:g}"/>',
        f'<text class="sign" x="{centre:g}" y="{y + 4:g}"{pressed}>{escape(sign)}</text>',
    ]


def _box(value: Value, x: float, y: float) -> list[str]:
    left, top = x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2
    rows = [("label", escape(_shown(value.label)))] if value.label else []
    rows += [("data", f"data {format_number(value.data)}"), ("grad", f"grad {format_number(value.grad)}")]
    first = y + 4 - (len(rows) - 1) * 8.5
    return [
        f'<rect x="{left:g}" y="{top:g}" width="{BOX_WIDTH:g}" height="{BOX_HEIGHT:g}" rx="7"/>',
        *(
            f'<text class="{kind}" x="{x:g}" y="{first + 17 * i:g}">{text}</text>'
            for i, (kind, text) in enumerate(rows)
        ),
    ]


def _shown(label: str) -> str:
    """Return a label that fits into a box, without characters that XML forbids."""
    clean = "".join(character if character.isprintable() else " " for character in label)
    return clean if len(clean) <= LONGEST else f"{clean[: LONGEST - 1]}…"


def _quoted(text: str) -> str:
    """Escape a text for the label of a record, where \\ { } | < > and quotes have a meaning."""
    return "".join(f"\\{c}" if c in '\\{}|<>"' else c if c.isprintable() else " " for c in text)
