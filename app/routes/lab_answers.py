"""What /lab/graph takes and gives: an expression, and the graph that was made of it. No engine in here."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.autograd.expression import MAX_CHARACTERS, MAX_NODES

NodeId = Annotated[int, Field(description="The index in `nodes`; an operand's is smaller than its result's.")]


class GraphRequest(BaseModel):
    """An expression of the scalar engine. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    expression: Annotated[str, Field(max_length=MAX_CHARACTERS)] = Field(
        description=f"Statements as `a = 2; b = -3; a*b + tanh(a)`: numbers, names, + - * / ** and minus signs, "
        f"parentheses, exp, log, tanh and relu. At most {MAX_CHARACTERS} characters, and {MAX_NODES} numbers and "
        "operations. A number as exponent is a part of its operation.",
        examples=["a = 2; b = -3; d = a*b + tanh(a)"],
    )


class GraphNode(BaseModel):
    """One value of the graph."""

    id: NodeId
    label: str = Field(description="The names that it was given, with a comma between them: `a` or `a, b`; or nothing.")
    operation: str = Field(description="What made it: + - * / neg exp log tanh relu ** or, as **2; nothing for a leaf.")
    data: float
    grad: float = Field(description="The derivative of the last value by this one.")
    operands: list[NodeId] = Field(description="What it was made of.")
    x: float = Field(description="The middle of its box in a drawing of `width` by `height` pixels.")
    y: float


class GraphLine(BaseModel):
    """The line from an operand's box to the circle of the operation that took it."""

    start: NodeId
    end: NodeId
    points: list[tuple[float, float]] = Field(
        description="From the first to the second it bends, to the third it is straight, and so on by turns."
    )


class GraphAddition(BaseModel):
    """What one operand gets in a step: gradient = derivative x the result's gradient."""

    operand: NodeId
    derivative: float = Field(description="Of the result by the operand.")
    gradient: float


class GraphStep(BaseModel):
    """One value hands its gradient, which is complete by then, on to its operands."""

    node: NodeId
    additions: list[GraphAddition]


class GraphSizes(BaseModel):
    """How large the parts of the drawing are, in pixels; a circle's middle is `reach` to the left of its box's."""

    width: float
    height: float
    box_width: float
    box_height: float
    radius: float
    reach: float


class GraphAnswer(BaseModel):
    """The graph of the last statement, operands before results, and backward through it step by step."""

    nodes: list[GraphNode] = Field(description="The last one is what the gradients are of.")
    lines: list[GraphLine]
    steps: list[GraphStep] = Field(
        description="Gradients are 0 at first; the last node's becomes 1; then each step adds to its operands'."
    )
    sizes: GraphSizes


EXAMPLES = {
    "neuron": {
        "summary": "A neuron",
        "value": {"expression": "x1 = 2; x2 = 0; w1 = -3; w2 = 1; b = 6.8813735870195432; o = tanh(x1*w1 + x2*w2 + b)"},
    },
    "reused": {"summary": "A value used twice", "value": {"expression": "a = 3; b = a + a"}},
}
