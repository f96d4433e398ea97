"""Who may come in, and how much they may have, as plain ASGI: keys and limits. Neither is there unless it is wanted.

Probes pass both: a load balancer has no key, and must not be told to wait.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.allowance import Allowance
from app.access.clients import Clients
from app.access.keys import Keys, given_key
from app.access.purse import PURSE, REQUEST, Purse, TooMuch
from app.errors import no_key, too_much

OPEN = frozenset({"/health/live", "/health/ready"})
OWNER = "namewave.owner"


class KeyDoor:
    """Lets in who has a key; others get 401."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        given = given_key(scope)
        owner = self.keys.owner(given)
        if owner is None:
            await no_key(given != "")(scope, receive, send)
            return
        scope[OWNER] = owner
        await self.app(scope, receive, send)


class LimitDoor:
    """Gives each request a purse of its client, who is known by key or by address, and tells in the answer's head how
    much is left. Who had enough gets 429.
    """

    def __init__(self, app: ASGIApp, allowance: Allowance, clients: Clients) -> None:
        self.app, self.allowance, self.clients = app, allowance, clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        owner = scope.get(OWNER)
        purse = Purse(self.allowance, self.clients.name(scope) if owner is None else f"key:{owner}")
        scope[PURSE] = purse

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *await purse.headers()]
            await send(message)

        try:
            # Before anything is read: wrong requests cost, too. What is drawn comes on top.
            await purse.charge(REQUEST)
        except TooMuch as error:
            await too_much(error)(scope, receive, send_with_limits)
            return
        await self.app(scope, receive, send_with_limits)
