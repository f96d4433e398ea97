"""/score and /next: what a model makes of names, and what it expects next."""

from functools import partial
from operator import attrgetter
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Body, Query, Request

from app.bodies import StrictRoute
from app.dependencies import Running, Service
from app.errors import responses
from app.purse import PURSE, Purse
from app.replies import NextAnswer, ScoreAnswer
from app.schemas import NextQuery, ScoreRequest

router = APIRouter(tags=["names"], route_class=StrictRoute, generate_unique_id_function=attrgetter("name"))
# What judging a name costs, in characters that could be drawn in that time: its nearest in the list is looked for.
JUDGED = 500
EXAMPLES = {
    "human": {"summary": "How human are these?", "value": {"names": ["Marnabella", "Anna", "Xqzt"]}},
    "blend": {"summary": "By a blend", "value": {"dataset": {"human": 1, "animal": 1}, "names": ["Foxanna"]}},
}


@router.post("/score", summary="Judge names", responses=responses(400, 404, 413, 415, 422, 503))
async def score(
    request: Annotated[ScoreRequest, Body(openapi_examples=EXAMPLES)], running: Running, connection: Request
) -> ScoreAnswer:
    """Tell how likely a model finds names, character by character, and which name of its list is nearest.

    The log-probabilities of a name's characters and its end add up to its `log_prob`. Where a name has a character that
    the model does not know, `log_prob` is null and `reason` says so.
    """
    purse: Purse | None = connection.scope.get(PURSE)
    if purse is not None:
        await purse.reserve(JUDGED * len(request.names))
    return await anyio.to_thread.run_sync(partial(_score, request, running), limiter=running.threads)


def _score(request: ScoreRequest, running: Service) -> ScoreAnswer:
    return running.explainer.score(request, running.sources.find(request.dataset, request.model))


@router.get("/next", summary="What comes next?", responses=responses(404, 422, 503))
async def next_characters(query: Annotated[NextQuery, Query()], running: Running) -> NextAnswer:
    """Tell the probability of each character that may follow a prefix, and of the end, at a temperature.

    Example: `/next?prefix=mar&temperature=0.8`
    """
    return await anyio.to_thread.run_sync(partial(_next, query, running), limiter=running.threads)


def _next(query: NextQuery, running: Service) -> NextAnswer:
    return running.explainer.next(query, running.sources.find(query.dataset, query.model))
