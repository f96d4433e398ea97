"""What one request takes from its client's allowance: charged before the work, put right after it."""

import math
import time
from collections.abc import Callable

from app.access.allowance import Allowance
from app.access.windows import WINDOW

# Where a request's scope has its purse, if there are limits.
PURSE = "namewave.purse"
POLICY = "characters"
# What any request costs, in characters, whatever becomes of it.
REQUEST = 100


class TooMuch(Exception):
    """The client had its share; `seconds` until there is enough for this request, which may take so many of the
    `limit` characters a minute.
    """

    def __init__(self, seconds: int, characters: int, limit: int) -> None:
        super().__init__(f"The limit is reached; again in {seconds} s.")
        self.seconds, self.characters, self.limit = seconds, characters, limit


class Purse:
    """One request's account with its client's allowance."""

    __slots__ = ("_allowance", "_at", "_clock", "_reserved", "client")

    def __init__(self, allowance: Allowance, client: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowance, self.client, self._clock = allowance, client, clock
        self._reserved, self._at = 0, 0.0

    async def charge(self, characters: int) -> None:
        """Take so many characters. Raises `TooMuch`."""
        if not await self._allowance.hit(self.client, characters):
            limit = self._allowance.limit
            wait = (await self._allowance.window(self.client)).wait(limit, min(characters, limit))
            raise TooMuch(max(1, math.ceil(wait)), characters, limit)

    async def reserve(self, characters: int) -> None:
        """Take what the request will have drawn, about so many characters; see `settle`. Raises `TooMuch`."""
        # What is more than there is at all is granted to who had nothing yet but this request.
        characters = min(characters, max(0, self._allowance.limit - REQUEST))
        await self.charge(characters)
        self._reserved, self._at = characters, self._clock()

    async def settle(self, characters: int) -> None:
        """Put right what was reserved: so many characters were drawn."""
        more = characters - self._reserved
        # What was taken in a window that is over is not given back in this one.
        if more and (more > 0 or self._clock() - self._at < WINDOW):
            self._reserved = characters
            await self._allowance.correct(self.client, more)

    async def headers(self) -> list[tuple[bytes, bytes]]:
        """Return RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11): the limit `q` for `w`
        seconds; the rest `r`, and when this window ends, `t`.
        """
        window, limit = await self._allowance.window(self.client), self._allowance.limit
        policy = f'"{POLICY}";q={limit};w={WINDOW:.0f};qu="characters"'
        now = f'"{POLICY}";r={max(0, limit - window.used)};t={math.ceil(window.left)}'
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", now.encode())]
