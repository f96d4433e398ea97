"""/generate: new names."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Body, Query, Request, Response

from app.bodies import StrictRoute
from app.dependencies import accepts_json, service
from app.drawing import draw, draw_if_quick, seeded
from app.errors import responses
from app.schemas import GenerateAnswer, GenerateQuery, GenerateRequest

ERRORS = responses(400, 404, 406, 413, 415, 422, 503)
EXAMPLES = {
    "animals": {
        "summary": "Five animals, a little safer",
        "value": {"dataset": "animal", "count": 5, "temperature": 0.8},
    },
    "novel": {
        "summary": "Names that start with Mar and are in no list",
        "value": {"prefix": "Mar", "novel": True, "count": 5, "seed": 1},
    },
    "details": {"summary": "How likely each character was", "value": {"count": 2, "details": True}},
}

router = APIRouter(tags=["names"], route_class=StrictRoute)


# These two take the connection instead of dependencies: each of those costs as much as drawing a few names.
@router.post("/generate", summary="Invent names", response_model=GenerateAnswer, responses=ERRORS)
async def generate(
    request: Annotated[GenerateRequest, Body(openapi_examples=EXAMPLES)], connection: Request
) -> Response:
    """Draw names from a model.

    Candidate *i* of a seed is a promise: it depends on the model's version, the sampling options, the seed and *i*
    alone. A request with a seed and a concrete version gives the same names on any machine, and a page that starts at
    `next_offset` goes on without gap or overlap.

    `unique`, `novel` and `max_length` refuse candidates; where the budget of attempts runs out, `complete` is false.
    """
    return await _answer(request, connection)


@router.get("/generate", summary="Invent names, by a link", response_model=GenerateAnswer, responses=ERRORS)
async def generate_by_link(query: Annotated[GenerateQuery, Query()], connection: Request) -> Response:
    """The same as POST with the fields in the query, so that a link can be shared. Without a seed it is not to be
    cached.

    Example: `/generate?dataset=animal&count=5&seed=7`
    """
    answer = await _answer(query, connection)
    if query.seed is None:
        answer.headers["Cache-Control"] = "no-store"
    return answer


async def _answer(request: GenerateQuery, connection: Request) -> Response:
    accepts_json(connection)
    running = service(connection)
    version = running.registry.resolve(request.dataset, request.model)
    most = running.settings.max_attempts
    request = seeded(request, running.entropy)
    answer = draw_if_quick(request, version, most)
    if answer is None:
        answer = await anyio.to_thread.run_sync(draw, request, version, most, limiter=running.threads)
    # Made here, the answer is not validated and copied once more.
    return Response(answer.model_dump_json(), media_type="application/json")
