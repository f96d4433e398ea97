"""Routes that draw: where all would be refused anyway, a request is refused before it is read."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response

from app.bodies import StrictRoute
from app.dependencies import service
from app.errors import overloaded


class AdmittedRoute(StrictRoute):
    """A route that is strict, and closed while there is no room at all."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the strict handler behind the door."""
        handle = super().get_route_handler()

        async def admitted(request: Request) -> Response:
            refusal = service(request).admission.refusal_of_all()
            return await handle(request) if refusal is None else overloaded(refusal.seconds)

        return admitted
