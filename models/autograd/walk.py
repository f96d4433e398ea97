"""Record backpropagation step by step: the additions of `Value.backward`, in the same order."""

from dataclasses import dataclass

from models.autograd.engine import Value, topological


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
