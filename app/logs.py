"""The log: one structured line for each event, on standard error, for people or as JSON."""

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic_core import PydanticSerializationError, to_json

from app.settings import Settings

# The id of the request that is being answered, which every line about it carries.
REQUEST: ContextVar[str] = ContextVar("request_id")

Event = dict[str, Any]
Tell = Callable[[Sequence[Event]], None]

# What uvicorn says after the reason was told.
SAID_BEFORE = frozenset({"Application startup failed. Exiting."})


def set_up(settings: Settings) -> Tell:
    """Configure structlog, and return what tells of events as its `info` does, in a fifth of the time where lines are
    JSON: there is one with every request.

    JSON escapes whatever a value holds, so that no value can forge a line. Each line is written and flushed at once: a
    signal that ends the process loses none.
    """
    is_json = settings.log_format == "json"
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=line)
        if is_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    # Made once: each would look for its lock again, and a logger is made for every line.
    writer = structlog.WriteLogger(sys.stderr)
    structlog.configure(
        processors=[
            _add_request_id,
            # People see one service; a machine that reads lines of several workers must tell them apart.
            *([_add_process] if is_json or settings.workers > 1 else []),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level.upper())),
        logger_factory=lambda *_: writer,
    )

    # What others log, and warn of, too, so that every line is of one form. Their news are theirs.
    root = logging.getLogger()
    root.handlers = [*(each for each in root.handlers if not isinstance(each, _StrangersLines)), _StrangersLines()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    return _straight(writer.msg) if is_json and level <= logging.INFO else tell


def tell(events: Sequence[Event]) -> None:
    """Tell of events through structlog."""
    log = structlog.get_logger()
    for event in events:
        log.info(**event)


def _straight(write: Callable[[str], None]) -> Tell:
    """Return what writes the lines that structlog would, where no request is known but by what is told."""
    process = os.getpid()

    def tell_straight(events: Sequence[Event]) -> None:
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        common = {"process": process, "level": "info", "timestamp": f"{now}Z"}
        write("\n".join([line(event | common, repr) for event in events]))

    return tell_straight


class _StrangersLines(logging.Handler):
    """Writes what uvicorn and other packages log as events of ours."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. Nothing that goes wrong with it reaches whoever logs."""
        if record.msg in SAID_BEFORE:
            return
        try:
            log = structlog.get_logger()
            # A level of a stranger's own has no method.
            tell = getattr(log, record.levelname.lower(), log.warning)
            tell(record.getMessage().strip(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


def _add_process(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.setdefault("process", os.getpid())
    return event


def _add_request_id(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    request_id = REQUEST.get(None)
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event


def line(event: dict[str, Any], default: Callable[[Any], Any]) -> str:
    """Return `event` as JSON in one line of ASCII; `default` makes something of a value that JSON does not know."""
    try:
        return to_json(event, ensure_ascii=True, fallback=default).decode()
    except (PydanticSerializationError, ValueError):
        # Half a surrogate pair, which is text to Python and not to Rust.
        return json.dumps(event, default=default)
