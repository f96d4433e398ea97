"""The log: one structured line for each event, on standard error, for people or as JSON."""

import json
import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import structlog
from pydantic_core import PydanticSerializationError, to_json

from app.settings import Settings

# The id of the request that is being answered, which every line about it carries.
REQUEST: ContextVar[str] = ContextVar("request_id")


def set_up(settings: Settings) -> None:
    """Configure structlog. JSON escapes whatever a value holds, so that no value can forge a line.

    Each line is written and flushed at once: a signal that ends the process loses none.
    """
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=line)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )

    # uvicorn's lines, too, so that every line is of one form.
    logging.getLogger("uvicorn").handlers = [_ServerLines()]


class _ServerLines(logging.Handler):
    """Writes what the server logs as events of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        name = record.levelname.lower()
        log = structlog.get_logger()
        tell = getattr(log, name if name in ("debug", "info", "warning", "error", "critical") else "info")
        tell(record.getMessage().strip(), exc_info=record.exc_info)


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
