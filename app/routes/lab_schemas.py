"""Requests and answers of /lab/graph and /lab/wavenet."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.responses import CharacterChance
from app.schemas import Piece, Reference
from models.autograd.expression import MAX_CHARACTERS, MAX_NODES

ARCHITECTURE = "wavenet"
Pixels = Annotated[float, Field(examples=[70.0])]
Number = Annotated[float, Field(examples=[3.0])]
Activations = Annotated[list[float], Field(examples=[[0.98, -0.2, 0.07]])]
Symbol = Annotated[str, Field(examples=["m"])]
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
    label: str = Field(
        description="The names that it was given, with a comma between them: `a` or `a, b`; or nothing.", examples=["a"]
    )
    operation: str = Field(
        description="What made it: + - * / neg exp log tanh relu ** or, as **2; nothing for a leaf.", examples=["+"]
    )
    data: Number
    grad: float = Field(description="The derivative of the last value by this one.", examples=[1.0])
    operands: list[NodeId] = Field(description="What it was made of.", examples=[[0, 1]])
    x: float = Field(description="The middle of its box in a drawing of `width` by `height` pixels.", examples=[70.0])
    y: Pixels


class GraphLine(BaseModel):
    """The line from an operand's box to the circle of the operation that took it."""

    start: NodeId
    end: NodeId
    points: list[tuple[float, float]] = Field(
        description="From the first to the second it bends, to the third it is straight, and so on by turns.",
        examples=[[(126.0, 43.0), (182.9, 37.0)]],
    )


class GraphAddition(BaseModel):
    """The gradient that one operand gets in a step: derivative x the result's gradient."""

    operand: NodeId
    derivative: float = Field(description="Of the result by the operand.", examples=[1.0])
    gradient: Number


class GraphStep(BaseModel):
    """One value passes its complete gradient to its operands."""

    node: NodeId
    additions: list[GraphAddition]


class GraphSizes(BaseModel):
    """The sizes of the drawing's parts, in pixels.

    A circle's centre is `reach` to the left of its box's centre.
    """

    width: Pixels
    height: Pixels
    box_width: Pixels
    box_height: Pixels
    radius: Pixels
    reach: Pixels


class GraphAnswer(BaseModel):
    """The graph of the last statement, operands before results, and backward through it step by step."""

    nodes: list[GraphNode] = Field(description="The last one is what the gradients are of.")
    lines: list[GraphLine]
    steps: list[GraphStep] = Field(
        description="Gradients are 0 at first; the last node's becomes 1; then each step adds to its operands'."
    )
    sizes: GraphSizes


class WavenetQuery(BaseModel):
    """A name and a wavenet, from a query string."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Reference | None = Field(
        None, description="Which data set's wavenet. Default: `human`.", examples=["animal"]
    )
    model: Reference = Field(
        ARCHITECTURE,
        description="A wavenet of /models: `wavenet`, `wavenet@3`, `human/wavenet@3`.",
        examples=["wavenet"],
    )
    name: Piece = Field(
        "", description="What stands before the character that is predicted; nothing: a name's start.", examples=["mar"]
    )


class Place(BaseModel):
    """One character of the window, and its row of the embedding; "." stands before a name."""

    character: Symbol
    values: Activations = Field(description="n_embd numbers.")


class Node(BaseModel):
    """One node: its output, and the places of the window that it covers."""

    first: int
    last: int = Field(examples=[1])
    values: Activations = Field(description="n_hidden activations.")


class Point(BaseModel):
    """A character in the plane of the two principal components of all embeddings' directions."""

    character: Symbol
    x: Number
    y: Number
    nearest: str = Field(description="The character at the smallest angle, in all dimensions.", examples=["n"])


class EmbeddingMap(BaseModel):
    """The directions of all characters' embeddings in two dimensions: each scaled to length 1 first."""

    explained: list[float] = Field(description="The share of the variance that each axis holds.", examples=[[0.6, 0.4]])
    points: list[Point]


class WavenetAnswer(BaseModel):
    """A wavenet's tree over the last characters of a name, from the embedding to the prediction."""

    dataset: str = Field(examples=["human"])
    model: str = Field(description="The concrete version.", examples=["human/wavenet@3"])
    name: str = Field(description="In lower case, as the model sees it.", examples=["mar"])
    unseen: str = Field(description="The beginning of the name, which the window does not reach.")
    activation: str = Field(examples=["tanh"])
    window: list[Place] = Field(description="block_size places, the oldest first.")
    layers: list[list[Node]] = Field(description="Each joins the nodes of the one before it two by two.")
    characters: list[CharacterChance] = Field(description="What may come next, the most probable first.")
    embedding: EmbeddingMap


EXAMPLES = {
    "neuron": {
        "summary": "A neuron",
        "value": {"expression": "x1 = 2; x2 = 0; w1 = -3; w2 = 1; b = 6.8813735870195432; o = tanh(x1*w1 + x2*w2 + b)"},
    },
    "reused": {"summary": "A value used twice", "value": {"expression": "a = 3; b = a + a"}},
}
