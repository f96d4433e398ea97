"""A stream of names as an async iterator. `name_lines` parses the bytes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Generic, Self

import httpx

from namewave_client.name_lines import Item, LineParser, StreamEnd, StreamHead


class AsyncNameStream(Generic[Item]):
    """Names as they are drawn, in constant memory. The request is sent with the first name asked for.

    Raises what `AsyncNamewave.generate` does with the first name, and `StreamBroken` where the connection breaks
    later. Use it in `async with`, or call `close`, where you may leave before its end: that closes the connection, and
    the service stops.
    """

    def __init__(self, opened: Callable[[], Awaitable[httpx.Response]], lines: LineParser[Item]) -> None:
        self._opened, self._lines = opened, lines
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._closed = False

    @property
    def head(self) -> StreamHead:
        """Data set, concrete model, seed, offset. Raises `StreamNotThere` before the first name."""
        return self._lines.head

    @property
    def end(self) -> StreamEnd:
        """The end record. Raises `StreamNotThere` before the stream has ended."""
        return self._lines.end

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        try:
            while not self._lines.waiting:
                self._lines.feed(await self._piece())
        except BaseException:
            await self.close()
            raise
        return self._lines.waiting.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. It is safe to call this again."""
        self._closed = True
        if self._response is not None:
            await self._response.aclose()

    async def _piece(self) -> bytes:
        if self._closed:
            self._lines.check_over()
            raise StopAsyncIteration
        if self._pieces is None:
            self._response = await self._opened()
            self._lines.begin(self._response.headers)
            self._pieces = self._response.aiter_bytes()
        error = None
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            pass
        except httpx.RequestError as broken:
            error = broken
        self._lines.check_whole(error)
        raise StopAsyncIteration
