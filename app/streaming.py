"""Streams over HTTP: pieces are drawn off the event loop, sent as the client takes them, and ended with it.

A thread is held for a piece, not for a stream, so that any number of streams share the few that there are.
"""

import logging
from functools import partial
from http import HTTPStatus

import anyio
import anyio.to_thread
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.caching import dataset_text
from app.departure import unless_gone
from app.metrics import Metrics
from app.name_lines import NameLines
from app.negotiation import CSV, NDJSON, TEXT
from app.purse import Purse

CONTENT_TYPES = {NDJSON: NDJSON, TEXT: f"{TEXT}; charset=utf-8", CSV: f"{CSV}; charset=utf-8; header=present"}


class NameResponse(Response):
    """The answer that is a stream. Where it fell short and its form cannot say so, the connection is closed without the
    last chunk, so that no client takes it for whole.
    """

    def __init__(
        self,
        lines: NameLines,
        threads: anyio.CapacityLimiter,
        headers: dict[str, str],
        metrics: Metrics,
        purse: Purse | None = None,
    ) -> None:
        # Not Response's own: that would tell a length.
        self.lines, self.threads, self.metrics, self.purse = lines, threads, metrics, purse
        self.told = (0, 0, 0)
        self.status_code, self.background = HTTPStatus.OK, None
        self.media_type = CONTENT_TYPES[lines.media]
        self.init_headers(
            headers
            | {
                "Namewave-Dataset": dataset_text(lines.source.dataset),
                "Namewave-Model": lines.source.reference,
                "Namewave-Seed": str(lines.seed),
                "Namewave-Offset": str(lines.request.offset),
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all, or as much as the client stays for."""
        self.metrics.streams.inc()
        try:
            await unless_gone(receive, partial(self._send, send))
        finally:
            self.metrics.streams.dec()
            self._count()
            self.metrics.sifted(self.lines.stream.refused)
            if self.purse is not None:
                await self.purse.settle(self.lines.stream.characters)

    async def _send(self, send: Send) -> None:
        # The first piece before the first header: an error in it can still be told.
        piece = await self._piece()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        while not self.lines.finished:
            piece = await self._piece()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if self.lines.tells_its_end:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            # A server closes the connection of an answer that was not finished.
            stream = self.lines.stream
            structlog.get_logger().warning("stream fell short", names=stream.names, attempts=stream.attempts)

    async def _piece(self) -> bytes:
        quick = self.lines.quick
        piece = self.lines.piece() if quick else await anyio.to_thread.run_sync(self.lines.piece, limiter=self.threads)
        self._count()
        return piece

    def _count(self) -> None:
        stream = self.lines.stream
        now = (stream.names, stream.attempts, stream.characters)
        names, attempts, characters = (number - before for number, before in zip(now, self.told, strict=True))
        self.metrics.drew(self.lines.source.reference, names, attempts, characters)
        self.told = now


def set_up_log() -> None:
    """Keep uvicorn from calling an answer that we meant to leave unfinished an error: `NameResponse` logs it."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return record.msg != "ASGI callable returned without completing response."
