"""Streams over HTTP: pieces are drawn off the event loop, sent as the client takes them, and ended with it.

A thread is held for a piece, not for a stream, so that any number of streams share the few that there are. A client
that does not take what it got holds nothing.
"""

import logging
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.access.purse import Purse
from app.caching import dataset_text
from app.connection.departure import unless_gone
from app.dependencies import Service
from app.load.admission import Ticket
from app.load.pieces import next_piece
from app.naming.name_lines import NameLines
from app.negotiation import CSV, NDJSON, TEXT

# Where a request's scope has what ended its stream early.
CUT = "namewave.cut"
CONTENT_TYPES = {NDJSON: NDJSON, TEXT: f"{TEXT}; charset=utf-8", CSV: f"{CSV}; charset=utf-8; header=present"}


class NameResponse(Response):
    """The answer that is a stream. Where it fell short and its form cannot say so, the connection is closed without the
    last chunk, so that no client takes it for whole.
    """

    def __init__(self, lines: NameLines, running: Service, headers: dict[str, str], purse: Purse | None = None) -> None:
        # Not Response's own: that would tell a length.
        self.lines, self.running, self.purse = lines, running, purse
        self.told = (0, 0, 0)
        self.ticket: Ticket | None = None
        # A stream that the deadline cut must not be kept as if it were the answer.
        self.may_be_kept = "ETag" in headers
        self.status_code, self.background = HTTPStatus.OK, None
        self.media_type = CONTENT_TYPES[lines.media]
        self.init_headers(
            headers
            | {
                "Namewave-Dataset": dataset_text(lines.source.dataset),
                "Namewave-Model": lines.source.reference,
                "Namewave-Seed": str(lines.stream.seed),
                "Namewave-Offset": str(lines.request.offset),
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all, or as much as the client stays for, or as the deadline allows. Raises `Overloaded`."""
        metrics = self.running.metrics
        metrics.streams.inc()
        try:
            await unless_gone(receive, partial(self._send, send), self.running.admission.leave)
        finally:
            if self.lines.stopped:
                scope[CUT] = "deadline"
            elif self.lines.begun and not self.lines.finished:
                # Either went away, the client or, in its time of grace, the service.
                scope[CUT] = "connection"
            metrics.streams.dec()
            self._count()
            metrics.sifted(self.lines.stream.refused)
            if self.purse is not None:
                await self.purse.settle(self.lines.cost.charged)

    async def _send(self, send: Send) -> None:
        with ExitStack() as held:
            # The first piece before the first header: an error in it can still be told.
            piece = await self._piece(held)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            while not self.lines.finished:
                piece = await self._piece(held)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await self._end(send)

    async def _piece(self, held: ExitStack) -> bytes:
        piece = await self._drawn(held)
        self._count()
        return piece

    def _count(self) -> None:
        stream = self.lines.stream
        now = (stream.names, stream.attempts, stream.characters)
        names, attempts, characters = (number - before for number, before in zip(now, self.told, strict=True))
        self.running.metrics.drew(self.lines.source.reference, names, attempts, characters)
        self.told = now

    async def _drawn(self, held: ExitStack) -> bytes:
        if self.ticket is None and self.lines.quick:
            return await self._quick_piece()
        if self.ticket is None:
            self.ticket = held.enter_context(self._take_on())
        piece = await next_piece(self.lines, self.ticket, self.running.costs)
        # Drawing alone counts: a client that reads slowly is not cut for that.
        if self.ticket.used > self.running.settings.deadline_seconds and not self.lines.finished:
            self.running.admission.tally.cut += 1
            self.running.metrics.cut.inc()
            self.lines.stop()
        return piece

    async def _quick_piece(self) -> bytes:
        admission = self.running.admission
        # What was begun is not refused any more: there is little left of it.
        if not (self.lines.begun or admission.idle):
            await admission.small()
        began = admission.clock()
        piece = self.lines.piece()
        admission.spent(admission.clock() - began)
        return piece

    def _take_on(self) -> Ticket:
        lines, admission = self.lines, self.running.admission
        seconds = self.running.costs.seconds(lines.request, lines.source, lines.most)
        return admission.go_on(seconds) if lines.begun else admission.take_on(seconds)

    async def _end(self, send: Send) -> None:
        cut = self.lines.stopped
        if self.lines.tells_its_end and not (cut and self.may_be_kept):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            # A server closes the connection of an answer that was not finished, and no cache keeps that.
            stream = self.lines.stream
            structlog.get_logger().warning("stream fell short", names=stream.names, attempts=stream.attempts)


def set_up_log() -> None:
    """Keep uvicorn from calling an answer that we meant to leave unfinished an error: `NameResponse` logs it."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return record.msg != "ASGI callable returned without completing response."
