"""Answers for HTTP/1.0, which knows no chunks: one without a length ends where the connection does (RFC 9112, section
6.3). Nothing else about versions.
"""

from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Unchunked:
    """What to call instead of the `send` of a cycle that answers an HTTP/1.0 request."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle, self._send, self._declared = cycle, cycle.send, True

    async def __call__(self, message: Mapping[str, Any]) -> None:
        """Send it on; a piece of an answer without a length is as long as the whole is."""
        if message["type"] == "http.response.start":
            names = [name.lower() for name, _ in message.get("headers", ())]
            self._declared = b"content-length" in names
            if not self._declared:
                # uvicorn chunks where this was not decided.
                self._cycle.chunked_encoding = False
        elif not self._declared:
            self._cycle.expected_content_length = len(message.get("body", b""))
        await self._send(message)  # type: ignore[arg-type]
