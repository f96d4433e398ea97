"""Work in pieces under a ticket of admission: names drawn a piece at a time, and what is learnt from each. No HTTP."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from app.load.admission import Ticket
from app.load.costs import Costs
from app.schemas import GenerateQuery
from models.blends import Source
from models.inference import NameStream

Piece = TypeVar("Piece", covariant=True)


class Drawing(Protocol[Piece]):
    """What is drawn in pieces (see `NameBatch`, `NameLines`)."""

    request: GenerateQuery
    source: Source
    stream: NameStream

    @property
    def piece(self) -> Callable[[], Piece]:
        """Draw some milliseconds' worth."""


async def next_piece(drawing: Drawing[Piece], ticket: Ticket, costs: Costs) -> Piece:
    """Return the next piece of `drawing`, once it is its turn. Raises `Overloaded` where the first one comes too
    late.
    """
    stream = drawing.stream
    names, attempts = stream.names, stream.attempts
    piece = await ticket.run(drawing.piece)
    costs.learn(drawing.request, drawing.source, stream.names - names, stream.attempts - attempts, ticket.last)
    return piece
