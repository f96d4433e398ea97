"""A stream of names as a sync iterator. `name_lines` parses the bytes."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self

import httpx

from namewave_client.name_lines import Item, LineParser, StreamEnd, StreamHead


class NameStream(Generic[Item]):
    """Names as they are drawn, in constant memory. The request is sent with the first name asked for.

    Raises what `Namewave.generate` does with the first name, and `StreamBroken` where the connection breaks
    later. Use it in `with`, or call `close`, where you may leave before its end: that closes the connection, and the
    service stops.
    """

    def __init__(self, opened: Callable[[], httpx.Response], lines: LineParser[Item]) -> None:
        self._opened, self._lines = opened, lines
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] | None = None
        self._closed = False

    @property
    def head(self) -> StreamHead:
        """Data set, concrete model, seed, offset. Raises `StreamNotThere` before the first name."""
        return self._lines.head

    @property
    def end(self) -> StreamEnd:
        """The end record. Raises `StreamNotThere` before the stream has ended."""
        return self._lines.end

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        try:
            while not self._lines.waiting:
                self._lines.feed(self._piece())
        except BaseException:
            self.close()
            raise
        return self._lines.waiting.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. It is safe to call this again."""
        self._closed = True
        if self._response is not None:
            self._response.close()

    def _piece(self) -> bytes:
        if self._closed:
            self._lines.check_over()
            raise StopIteration
        if self._pieces is None:
            self._response = self._opened()
            self._lines.begin(self._response.headers)
            self._pieces = self._response.iter_bytes()
        error = None
        try:
            return next(self._pieces)
        except StopIteration:
            pass
        except httpx.RequestError as broken:
            error = broken
        self._lines.check_whole(error)
        raise StopIteration
