"""Stream names over HTTP, and stop work when the client disconnects.

A stream holds a thread for a chunk, not for its whole life, so that any number of streams share few threads. A client
that does not read holds nothing.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import anyio
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.admission.execution import Execution
from app.web.caching import dataset_text
from app.web.negotiation import CSV, NDJSON, TEXT

# Key of the ASGI scope that says what ended a stream early: "deadline" or "connection".
TRUNCATED_BY = "namewave.cut"
CONTENT_TYPES = {NDJSON: NDJSON, TEXT: f"{TEXT}; charset=utf-8", CSV: f"{CSV}; charset=utf-8; header=present"}
Result = TypeVar("Result")


async def run_until_disconnect(receive: Receive, work: Callable[[], Awaitable[Result]]) -> Result | None:
    """Return the result of `work`, or None: when the client disconnects, the work is cancelled.

    Errors of `work` are raised as they are, not in a group. The request's body must have been read.
    """
    result: Result | None = None
    failure: Exception | None = None

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            result = await work()
        except Exception as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result


class NameStreamingResponse(Response):
    """A stream of names.

    If it falls short and its format cannot say so, the connection is closed without the last chunk, so that no client
    takes it for complete.
    """

    def __init__(self, execution: Execution, headers: dict[str, str]) -> None:
        # Response's own constructor would set a length.
        self.job, self.execution = execution.job, execution
        job = self.job
        # No cache may keep a stream that the deadline cut.
        self.is_cacheable = "ETag" in headers
        self.status_code, self.background = HTTPStatus.OK, None
        self.media_type = CONTENT_TYPES[job.media]
        self.init_headers(
            headers
            | {
                "Namewave-Dataset": dataset_text(job.source.dataset),
                "Namewave-Model": job.source.reference,
                "Namewave-Seed": str(job.stream.seed),
                "Namewave-Offset": str(job.request.offset),
                # nginx would collect the lines of a stream, and send them late.
                "X-Accel-Buffering": "no",
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream until its end, the deadline, or the client's disconnect. Raises `Overloaded`."""
        streams = self.execution.metrics.streams
        streams.inc()
        try:
            async with self.execution:
                await run_until_disconnect(receive, partial(self._send, send))
        finally:
            streams.dec()
            if self.job.stopped:
                scope[TRUNCATED_BY] = "deadline"
            elif self.job.started and not self.job.finished:
                # The client left, or the service stopped.
                scope[TRUNCATED_BY] = "connection"

    async def _send(self, send: Send) -> None:
        # The first chunk comes before the head: an error in it is still a problem document.
        chunk = await self.execution.next_chunk()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        while not self.job.finished:
            self.execution.count()
            chunk = await self.execution.next_chunk()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if self.job.shows_its_end and not (self.job.stopped and self.is_cacheable):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            # The server closes the connection of an unfinished answer, and no cache keeps it.
            stream = self.job.stream
            structlog.get_logger().warning("stream fell short", names=stream.names, attempts=stream.attempts)


def silence_unfinished_streams() -> None:
    """Drop uvicorn's error about an unfinished answer: `NameStreamingResponse` logs its own."""
    logging.getLogger("uvicorn.error").addFilter(_is_relevant)


def _is_relevant(record: logging.LogRecord) -> bool:
    return record.msg != "ASGI callable returned without completing response."
