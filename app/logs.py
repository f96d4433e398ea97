"""Structured logging: one line per event on standard error, and the access log."""

import asyncio
import atexit
import json
import logging
import os
import random
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, TextIO

import structlog
from pydantic_core import PydanticSerializationError, to_json

from app.metrics import Metrics
from app.settings import Settings

# The id of the request that is being answered; every line about it carries it.
REQUEST_ID: ContextVar[str] = ContextVar("request_id")
SAFE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# uvicorn's lines about a failed start, which our own line explains: a traceback and an epilogue.
FAILED_START = ("StartupError\n", "Application startup failed. Exiting.")

Event = dict[str, Any]
Fields = tuple[tuple[str, str], ...]
# What a template of access log lines holds in the place of the values that differ: no other value looks like these.
ID_MARK, MILLISECONDS_MARK, TIMESTAMP_MARK = "request-id-of-a-template", 98765432.25, "timestamp-of-a-template"
# How many templates are kept: one for each route, method, status and API key in use.
MAX_TEMPLATES = 4096


def set_up(settings: Settings) -> "AccessLines":
    """Configure structlog, and return the writer of access log lines.

    JSON escapes every value, so that no value can forge a line.
    """
    is_json = settings.log_format == "json"
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=json_line)
        if is_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    # A process may be started without standard error.
    output = LogOutput(sys.stderr or sys.stdout)
    writer = LineLogger(output)
    context: list[structlog.typing.Processor] = [
        _add_request_id,
        # Lines of several workers must be told apart; people see one service.
        *([_add_process] if is_json or settings.workers > 1 else []),
        structlog.processors.add_log_level,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            *context,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: writer,
    )

    root = logging.getLogger()
    root.handlers = [*(each for each in root.handlers if not isinstance(each, ForeignLogHandler)), ForeignLogHandler()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    return AccessLines(output, [*context, renderer], level <= logging.INFO)


class LogOutput:
    """Writes lines to `stream`: at once, or together at the end of a turn of the event loop.

    Lines keep their order. Safe to share between threads, except for `write_later`, which is for the event loop's.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Never replaced: threads append to it and take from it at the same time.
        self._waiting: deque[str] = deque()
        # The garbage collector may run a finaliser that logs while this thread holds the lock.
        self._lock = threading.RLock()
        self._scheduled = self._closed = False

    def write(self, text: str) -> None:
        """Write `text` behind what waits."""
        self._waiting.append(text)
        self.flush()

    def write_later(self, text: str) -> None:
        """Write `text` once the running event loop has done what it is at; without one, at once."""
        self._waiting.append(text)
        if self._closed:
            self.flush()
        elif not self._scheduled:
            try:
                asyncio.get_running_loop().call_soon(self._flush_later)
                self._scheduled = True
            except RuntimeError:
                self.flush()

    def _flush_later(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """Write all that waits, in one piece."""
        with self._lock:
            lines = []
            with suppress(IndexError):
                while True:
                    lines.append(self._waiting.popleft())
            if lines:
                self._stream.write("".join(lines))
                self._stream.flush()

    def close(self) -> None:
        """Write all that waits; later lines are written at once."""
        self._closed = True
        self.flush()


class LineLogger:
    """The end of structlog's chain: writes rendered events as lines.

    structlog's own logger would lock a second time.
    """

    def __init__(self, output: LogOutput) -> None:
        self._output = output

    def msg(self, message: str) -> None:
        """Write one line."""
        self._output.write(f"{message}\n")

    debug = info = warning = error = critical = exception = msg


class AccessLines:
    """Writes access log lines as structlog would, several at a time.

    Lines of a route differ in few values, so that structlog renders one of them, and the others are copies of it.
    """

    def __init__(self, output: LogOutput, processors: Sequence[structlog.typing.Processor], enabled: bool) -> None:
        """`processors`: structlog's, except the timestamp; `enabled`: whether the level writes lines."""
        self.output, self._processors, self._enabled = output, processors, enabled
        self._template = lru_cache(MAX_TEMPLATES)(self._render)
        self._second, self._time = 0, ""
        # The process may end without the end of the service.
        atexit.register(output.flush)

    def add(self, request_id: str, method: str, route: str, status: int, seconds: float, fields: Fields = ()) -> None:
        """Write a line about a request that ends now; `request_id` is harmless, and `fields` come last."""
        if self._enabled:
            second, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
            if second != self._second:
                self._second, self._time = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            now = f"{self._time}.{microseconds:06d}Z"
            values = {"id": request_id, "ms": round(seconds * 1000, 2), "now": now}
            self.output.write_later(self._template(method, route, status, fields) % values)

    def close(self) -> None:
        """Write all lines: the service stops."""
        atexit.unregister(self.output.flush)
        self.output.close()

    def _render(self, method: str, route: str, status: int, fields: Fields) -> str:
        line: Any = {
            "event": "request",
            "request_id": ID_MARK,
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": MILLISECONDS_MARK,
            **dict(fields),
        }
        *context, renderer = self._processors
        for processor in context:
            line = processor(None, "info", line)
        text = str(renderer(None, "info", {**line, "timestamp": TIMESTAMP_MARK})).replace("%", "%%")
        for mark, value in ((ID_MARK, "%(id)s"), (str(MILLISECONDS_MARK), "%(ms)s"), (TIMESTAMP_MARK, "%(now)s")):
            text = text.replace(mark, value)
        return f"{text}\n"


def json_line(event: Event, default: Callable[[Any], Any]) -> str:
    """Return `event` as one line of ASCII; `default` converts values that JSON does not have."""
    try:
        return to_json(event, ensure_ascii=True, fallback=default).decode()
    except (PydanticSerializationError, ValueError):
        # Half a surrogate pair is text to Python and not to Rust.
        return json.dumps(event, default=default)


class ForeignLogHandler(logging.Handler):
    """Writes warnings of uvicorn and other packages as events. Never raises."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        if str(record.msg).endswith(FAILED_START):
            return
        try:
            log = structlog.get_logger()
            # A custom level has no method.
            method = getattr(log, record.levelname.lower(), log.warning)
            method(record.getMessage().strip(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


class AccessLog:
    """Writes a line and counts metrics for each request.

    A client's text never gets in, except a harmless id.
    """

    def __init__(
        self,
        metrics: Metrics,
        codes: Mapping[HTTPStatus, str],
        clock: Callable[[], float] = time.perf_counter,
        random_bits: Callable[[int], int] | None = None,
    ) -> None:
        """`codes`: of the statuses that the metrics count as refusals."""
        self.metrics, self.codes, self.clock = metrics, codes, clock
        # Ids must be unique, not secret; the system's random bits would cost a system call each.
        self._random_bits = random_bits or random.Random().getrandbits
        # None until the service starts.
        self.lines: AccessLines | None = None

    def request_id(self, given: bytes | None) -> str:
        """Return the client's X-Request-ID if it is harmless, else a new id."""
        if given and SAFE_REQUEST_ID.fullmatch(given):
            return given.decode()
        return f"{self._random_bits(128):032x}"

    def record(
        self,
        request_id: str,
        method: str,
        route: str,
        status: int,
        head_seconds: float,
        seconds: float,
        refusal: str | None = None,
        fields: Fields = (),
    ) -> None:
        """Count and log a finished request: seconds until the head of the answer, and until its end."""
        self.metrics.observe_request(route, status, head_seconds)
        if status in self.codes:
            self.metrics.count_refusal(refusal or self.codes[HTTPStatus(status)])
        if self.lines is not None:
            self.lines.add(request_id, method if method in METHODS else "(other)", route, status, seconds, fields)


def _add_process(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.setdefault("process", os.getpid())
    return event


def _add_request_id(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    request_id = REQUEST_ID.get(None)
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event
