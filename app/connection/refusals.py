"""What is told where the connection itself refuses a request, which the application never sees. When, is not known
here.
"""

from collections.abc import Iterable
from http import HTTPStatus

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.errors import UNREADABLE, problem


def refused(status: HTTPStatus, own: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Log a refusal and return the whole answer, after which the connection is closed. `own`: what the server tells of
    itself.
    """
    structlog.get_logger().warning("refused", status=int(status))
    answer = problem(status, "This is no HTTP/1.1 request." if status is UNREADABLE else "")
    headers = [*own, *answer.raw_headers, (b"connection", b"close")]
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", bytes(answer.body)])
