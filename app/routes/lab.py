"""/lab/graph: an expression as a graph of values, with gradients and the way back through it. The page that shows it is
served next door.
"""

from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from app.access.purse import PURSE, Purse
from app.bodies import StrictRoute
from app.connection.departure import unless_gone
from app.dependencies import Running
from app.errors import responses
from app.negotiation import JSON
from app.routes.lab_answers import (
    EXAMPLES,
    GraphAddition,
    GraphAnswer,
    GraphLine,
    GraphNode,
    GraphRequest,
    GraphSizes,
    GraphStep,
)
from models.autograd.engine import Value, topological
from models.autograd.expression import evaluate
from models.autograd.layout import BOX_HEIGHT, BOX_WIDTH, RADIUS, REACH, Layout, lay_out
from models.autograd.walk import backward_steps

router = APIRouter(tags=["lab"], route_class=StrictRoute, generate_unique_id_function=attrgetter("name"))
# The largest graph takes some 20 ms, a neuron half of one, most of it for the layout; and that in characters that could
# be drawn in the time.
SECONDS, CHARACTERS = 0.02, 2000


@router.post(
    "/lab/graph",
    summary="Show how a number was made",
    response_model=GraphAnswer,
    responses=responses(400, 413, 415, 422, 503),
)
async def graph(
    request: Annotated[GraphRequest, Body(openapi_examples=EXAMPLES)], running: Running, connection: Request
) -> Response:
    """Compute an expression, and the derivative of its last statement by each value in it, by backpropagation.

    The answer is the graph: every value with its gradient and its place in a drawing, and backward through it step by
    step. An expression that cannot be read or computed is 422; the error tells the `position` of the character.
    """
    purse: Purse | None = connection.scope.get(PURSE)
    if purse is not None:
        await purse.charge(CHARACTERS)
    admission = running.admission

    async def work() -> bytes:
        # In a thread, for it takes more than a millisecond.
        with admission.take_on(SECONDS) as ticket:
            return await ticket.run(lambda: graph_of(request.expression).model_dump_json().encode())

    body = await unless_gone(connection.receive, work, admission.leave) or b""
    return Response(body, media_type=JSON)


def graph_of(expression: str) -> GraphAnswer:
    """Return the graph of an expression. Raises `ExpressionError`."""
    root = evaluate(expression)
    order = topological(root)
    ids = {value: i for i, value in enumerate(order)}
    layout = lay_out([[ids[operand] for operand in value.operands] for value in order])
    steps = [
        GraphStep(
            node=ids[step.value],
            additions=[
                GraphAddition(operand=ids[each.operand], derivative=each.derivative, gradient=each.gradient)
                for each in step.additions
            ],
        )
        for step in backward_steps(root)
    ]
    return GraphAnswer(
        nodes=_nodes(order, ids, layout),
        lines=[GraphLine(start=line.start, end=line.end, points=list(line.points)) for line in layout.lines],
        steps=steps,
        sizes=GraphSizes(
            width=layout.width,
            height=layout.height,
            box_width=BOX_WIDTH,
            box_height=BOX_HEIGHT,
            radius=RADIUS,
            reach=REACH,
        ),
    )


def _nodes(order: list[Value], ids: dict[Value, int], layout: Layout) -> list[GraphNode]:
    return [
        GraphNode(
            id=ids[value],
            label=value.label,
            operation=value.operation,
            data=value.data,
            grad=value.grad,
            operands=[ids[operand] for operand in value.operands],
            x=x,
            y=y,
        )
        for value, (x, y) in zip(order, layout.places, strict=True)
    ]
