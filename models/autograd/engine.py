"""A number that records its operation, and backpropagation over such numbers.

This module uses Python floats and the standard library only. The idea is Karpathy's micrograd (2020), the mathematics
reverse accumulation (Linnainmaa 1970). An operation stores its local derivatives as plain numbers, so that one rule,
the chain rule, covers all of them:

    operand.grad += local derivative * result.grad
"""

import math

Number = int | float


class Value:
    """A float `data` with its gradient `grad`: the derivative of the root of `backward` by it.

    `operation` created it ("" for a leaf) from `operands`; `derivatives` are its derivatives by each of them. They are
    computed once, so after a change to the `data` of a leaf, compute its results again. Numbers among the operands
    become leaves.

    Errors are those of Python's own numbers: `ZeroDivisionError`, `OverflowError`, and `ValueError` outside the domain
    of an operation. An operation whose derivative does not exist (a root at 0) is an error.
    """

    __slots__ = ("__weakref__", "data", "derivatives", "grad", "label", "operands", "operation")
    # NumPy's numbers leave operations with a Value to the Value.
    __array_ufunc__ = None

    def __init__(self, data: Number, label: str = "") -> None:
        self.data = float(data)
        self.grad = 0.0
        self.label = label
        self.operation = ""
        self.operands: tuple[Value, ...] = ()
        self.derivatives: tuple[float, ...] = ()

    def __repr__(self) -> str:
        name = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self.data:g}, grad={self.grad:g}{name})"

    def __add__(self, other: "Value | Number") -> "Value":
        if (right := _value(other)) is None:
            return NotImplemented
        return _made(self.data + right.data, "+", (self, right), (1.0, 1.0))

    def __radd__(self, other: Number) -> "Value":
        return NotImplemented if (left := _value(other)) is None else left + self

    def __sub__(self, other: "Value | Number") -> "Value":
        if (right := _value(other)) is None:
            return NotImplemented
        return _made(self.data - right.data, "-", (self, right), (1.0, -1.0))

    def __rsub__(self, other: Number) -> "Value":
        return NotImplemented if (left := _value(other)) is None else left - self

    def __mul__(self, other: "Value | Number") -> "Value":
        if (right := _value(other)) is None:
            return NotImplemented
        return _made(self.data * right.data, "*", (self, right), (right.data, self.data))

    def __rmul__(self, other: Number) -> "Value":
        return NotImplemented if (left := _value(other)) is None else left * self

    def __truediv__(self, other: "Value | Number") -> "Value":
        if (right := _value(other)) is None:
            return NotImplemented
        quotient = self.data / right.data
        return _made(quotient, "/", (self, right), (1 / right.data, -quotient / right.data))

    def __rtruediv__(self, other: Number) -> "Value":
        return NotImplemented if (left := _value(other)) is None else left / self

    def __pow__(self, other: "Value | Number") -> "Value":
        """Return this number to a power.

        A number as exponent is a constant, and the operation is "**2" with one operand. A Value as exponent has its own
        derivative, which needs a base of at least 0.
        """
        if not isinstance(other, Value):
            if _value(other) is None:
                return NotImplemented
            exponent = float(other)
            return _made(_power(self.data, exponent), f"**{other:g}", (self,), (_slope(self.data, exponent),))
        if self.data < 0:
            raise ValueError("a negative base has no derivative by an exponent that may change")
        power = _power(self.data, other.data)
        # 0 to any power above 0 is 0: it does not change with the exponent.
        by_exponent = power * math.log(self.data) if self.data else _zero_by_exponent(other.data)
        return _made(power, "**", (self, other), (_slope(self.data, other.data), by_exponent))

    def __rpow__(self, other: Number) -> "Value":
        return NotImplemented if (base := _value(other)) is None else base**self

    def __neg__(self) -> "Value":
        return _made(-self.data, "neg", (self,), (-1.0,))

    def exp(self) -> "Value":
        """Return e to this number."""
        power = math.exp(self.data)
        return _made(power, "exp", (self,), (power,))

    def log(self) -> "Value":
        """Return the natural logarithm of this number, which must be above 0."""
        if self.data <= 0:
            raise ValueError("0 and what is below it have no logarithm")
        return _made(math.log(self.data), "log", (self,), (1 / self.data,))

    def tanh(self) -> "Value":
        """Return the hyperbolic tangent."""
        t = math.tanh(self.data)
        return _made(t, "tanh", (self,), (1 - t * t,))

    def relu(self) -> "Value":
        """Return this number if it is above 0, else 0. The derivative at 0 is 0, as in torch."""
        is_on = self.data > 0
        return _made(self.data if is_on else 0.0, "relu", (self,), (1.0 if is_on else 0.0,))

    def backward(self) -> None:
        """Add the derivative of this number by each leaf to the leaf's `grad`.

        The gradients of inner values are set, not added. Two calls double the gradients of leaves, as in torch;
        `nn.Module.zero_grad` resets them.
        """
        order = topological(self)
        for value in order:
            if value.operands:
                value.grad = 0.0
        self.grad += 1.0
        for value in reversed(order):
            grad = value.grad
            for operand, derivative in zip(value.operands, value.derivatives, strict=True):
                operand.grad += derivative * grad


def topological(root: Value) -> list[Value]:
    """Return `root` and all its ancestors once, operands before results, left before right.

    This is a depth-first search with an explicit stack, because Python's own ends after about a thousand operations.
    """
    order: list[Value] = []
    opened: set[Value] = set()
    closed: set[Value] = set()
    stack = [root]
    while stack:
        value = stack.pop()
        if value not in opened:
            opened.add(value)
            # Met again when all that it was made of is in order.
            stack.append(value)
            stack += [operand for operand in reversed(value.operands) if operand not in opened]
        elif value not in closed:
            closed.add(value)
            order.append(value)
    return order


def _value(other: object) -> Value | None:
    """Return `other` as a Value, or None if it is not a number."""
    if isinstance(other, Value):
        return other
    # NumPy numbers have `__float__`, but so has an array with one element.
    return Value(other) if isinstance(other, int | float) else None


def _made(data: float, operation: str, operands: tuple[Value, ...], derivatives: tuple[float, ...]) -> Value:
    made = Value(data)
    made.operation, made.operands, made.derivatives = operation, operands, derivatives
    return made


def _power(base: float, exponent: float) -> float:
    if base < 0 and not exponent.is_integer():
        raise ValueError("a negative number to the power of a fraction is no real number")
    return float(base**exponent)


def _slope(base: float, exponent: float) -> float:
    """Return the derivative of base**exponent by the base."""
    # Any number to the power of 0 is 1, and 0 ** (0 - 1) is undefined.
    return exponent * _power(base, exponent - 1) if exponent else 0.0


def _zero_by_exponent(exponent: float) -> float:
    """Return the derivative of 0**exponent by the exponent."""
    if exponent > 0:
        return 0.0
    raise ValueError("0 to the power of 0 has no derivative by its exponent")
