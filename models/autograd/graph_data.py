"""A graph as plain data for the lab: values with gradients, positions, and the steps of backpropagation."""

from dataclasses import asdict, dataclass
from typing import Any

from models.autograd.engine import Value, topological
from models.autograd.layout import BOX_HEIGHT, BOX_WIDTH, RADIUS, REACH, lay_out


@dataclass(frozen=True)
class Addition:
    """The gradient that one operand gets in a step: `derivative` (of the result) x the result's gradient."""

    operand: Value
    derivative: float
    gradient: float


@dataclass(frozen=True)
class Step:
    """One value passes its complete gradient to its operands, in order."""

    value: Value
    additions: tuple[Addition, ...]


def backward_steps(root: Value) -> list[Step]:
    """Return the steps of the last `root.backward()`, from `root` towards the leaves."""
    return [
        Step(
            value,
            tuple(
                Addition(operand, derivative, derivative * value.grad)
                for operand, derivative in zip(value.operands, value.derivatives, strict=True)
            ),
        )
        for value in reversed(topological(root))
        if value.operands
    ]


def graph_data(root: Value) -> dict[str, Any]:
    """Return nodes, lines, steps and sizes of the graph of `root`.

    A node is identified by its index in topological order. Positions and sizes are in pixels.
    """
    order = topological(root)
    ids = {value: i for i, value in enumerate(order)}
    layout = lay_out([[ids[operand] for operand in value.operands] for value in order])
    nodes = [
        {
            "id": ids[value],
            "operands": [ids[operand] for operand in value.operands],
            "x": x,
            "y": y,
            **{name: getattr(value, name) for name in ("label", "operation", "data", "grad")},
        }
        for value, (x, y) in zip(order, layout.places, strict=True)
    ]
    steps = [
        {
            "node": ids[step.value],
            "additions": [
                {"operand": ids[each.operand], "derivative": each.derivative, "gradient": each.gradient}
                for each in step.additions
            ],
        }
        for step in backward_steps(root)
    ]
    sizes = {"width": layout.width, "height": layout.height, "box_width": BOX_WIDTH, "box_height": BOX_HEIGHT}
    sizes |= {"radius": RADIUS, "reach": REACH}
    return {"nodes": nodes, "lines": [asdict(line) for line in layout.lines], "steps": steps, "sizes": sizes}
