"""Backward, step by step, for whoever wants to watch: the same additions in the same order as `Value.backward` makes,
as records.
"""

from dataclasses import dataclass

from models.autograd.engine import Value, topological


@dataclass(frozen=True)
class Addition:
    """What one operand gets in a step: `gradient` = `derivative` (of the result by the operand) x the result's own."""

    operand: Value
    derivative: float
    gradient: float


@dataclass(frozen=True)
class Step:
    """One value hands its gradient, which is complete by then, on to its operands, in their order."""

    value: Value
    additions: tuple[Addition, ...]


def backward_steps(root: Value) -> list[Step]:
    """Return the steps of the pass that `root.backward()` made last, from `root` to what is nearest to the leaves."""
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
