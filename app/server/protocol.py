"""HTTP/1.1 over uvicorn's httptools protocol: head limits, deadlines, framing (RFC 9112).

A request that breaks a rule here never reaches the application: the connection is closed, after a problem document
where no other answer is under way.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.web.errors import HEAD_TOO_LARGE, TOO_SLOW, UNREADABLE, problem

# Bytes of a request's address, headers and trailers, and how many headers it may have.
MAX_HEAD_BYTES, MAX_HEADERS = 16_384, 100
# Repeated, these mean different things to different servers (RFC 9112, sections 3.2 and 6.3).
SINGLE_HEADERS = (b"host", b"content-length", b"transfer-encoding")
UPGRADE_HEADERS = (b"connection", b"upgrade", b"http2-settings")
# Bytes that a client must take of its answer within `Timeouts.send`.
MIN_BYTES_TAKEN = 16_384
# Seconds: longest time between two checks of a connection, and both timeouts during shutdown.
CHECK_INTERVAL, SHUTDOWN_TIMEOUT = 0.5, 2.0
# Seconds that idle connections stay open at shutdown: a request that is on its way is still answered.
SHUTDOWN_GRACE = 0.5


@dataclass(frozen=True)
class Timeouts:
    """The timeouts of a connection, in seconds.

    To receive a request, head and body; for a client to take `MIN_BYTES_TAKEN` of its answer; from the start of a
    shutdown until the connection is aborted.
    """

    receive: float = 8
    send: float = 30
    shutdown: float = 8


class ConnectionTimer:
    """Enforces `Timeouts` on one connection by periodic checks, without timers per request.

    `on_receive_timeout` is called when a request is late. A client that does not take its answer is disconnected.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        timeouts: Timeouts,
        on_receive_timeout: Callable[[], None],
    ) -> None:
        self._loop, self._transport, self._timeouts = loop, transport, timeouts
        self._on_receive_timeout = on_receive_timeout
        # When the request being received began; None between requests. A new connection owes a request.
        self.receiving_since: float | None = loop.time()
        self._buffered, self._progress_at = 0, self.receiving_since
        self._shutdown_at: float | None = None
        self._schedule()

    def message_started(self) -> None:
        """Start the receive timeout, unless it runs already."""
        if self.receiving_since is None:
            self.receiving_since = self._loop.time()

    def restart(self) -> None:
        """Restart the receive timeout: reading was paused on our side."""
        self.receiving_since = self._loop.time()

    def message_received(self) -> None:
        """Stop the receive timeout."""
        self.receiving_since = None

    def sent(self) -> None:
        """Note that the client took a large part of the write buffer."""
        self._buffered, self._progress_at = 0, self._loop.time()

    def shut_down(self) -> None:
        """Shorten the timeouts, and abort the connection after `Timeouts.shutdown`."""
        now, timeouts = self._loop.time(), self._timeouts
        self._timeouts = replace(
            timeouts, receive=min(SHUTDOWN_TIMEOUT, timeouts.receive), send=min(SHUTDOWN_TIMEOUT, timeouts.send)
        )
        self.receiving_since = None if self.receiving_since is None else now
        self._shutdown_at = now + timeouts.shutdown

    def cancel(self) -> None:
        """Stop checking: the connection is closed."""
        self._timer.cancel()

    def _schedule(self) -> None:
        interval = min(CHECK_INTERVAL, self._timeouts.receive / 4, self._timeouts.send / 4)
        self._timer = self._loop.call_later(interval, self._check)

    def _check(self) -> None:
        now = self._loop.time()
        if self._is_stalled(now) or (self._shutdown_at is not None and now >= self._shutdown_at):
            self._transport.abort()
            return
        if self.receiving_since is not None and now >= self.receiving_since + self._timeouts.receive:
            self.receiving_since = None
            self._on_receive_timeout()
        self._schedule()

    def _is_stalled(self, now: float) -> bool:
        left = self._transport.get_write_buffer_size()
        if left == 0 or left <= self._buffered - MIN_BYTES_TAKEN:
            self._buffered, self._progress_at = left, now
        self._buffered = max(self._buffered, left)
        return now >= self._progress_at + self._timeouts.send


class _Rejected(Exception):
    """Stops the parser: the request breaks a rule."""


class HttpProtocol(HttpToolsProtocol):
    """One connection. `unparsed`: bytes received since the parser's last callback."""

    unparsed = head_bytes = 0
    in_body = rejected = shutting_down = False
    between_requests = True
    rejection: HTTPStatus = UNREADABLE
    timer: ConnectionTimer

    def __init__(self, *arguments: Any, timeouts: Timeouts = Timeouts(), **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.timeouts = timeouts

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer."""
        super().connection_made(transport)
        self.timer = ConnectionTimer(self.loop, transport, self.timeouts, self._on_receive_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self.timer.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Note that the client took most of the write buffer."""
        self.timer.sent()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse `data`; after a rejection, read nothing more."""
        if self.rejected:
            self.flow.pause_reading()
            return
        self._unset_keepalive_if_required()
        self.timer.message_started()
        # The parser keeps an unfinished header to itself, so its bytes are counted here.
        self.unparsed += len(data)
        self.between_requests = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._reject()
        else:
            if self.unparsed > MAX_HEAD_BYTES:
                self._reject(HEAD_TOO_LARGE)
            elif self.between_requests and not self._is_answering():
                self._start_keep_alive_timer()

    def on_message_begin(self) -> None:
        """Begin a request, unless it is pipelined behind an unanswered one.

        After that answer the connection closes, and the client sends the request again (RFC 9112, section 9.3.2).
        """
        if self._is_answering():
            raise _Rejected
        super().on_message_begin()
        self.head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Count and take a part of the address."""
        self.head_bytes += len(url)
        if self.head_bytes > MAX_HEAD_BYTES:
            self._stop_parsing(HEAD_TOO_LARGE)
        super().on_url(url)

    def on_headers_complete(self) -> None:
        """Start the application, unless the head is rejected or the request will be parsed again.

        A head is rejected if it is too large or its framing is ambiguous.
        """
        self.unparsed = 0
        self.head_bytes += sum(map(len, chain.from_iterable(self.headers)))
        if self.head_bytes > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._stop_parsing(HEAD_TOO_LARGE)
        if not has_safe_framing(self.parser.get_http_version(), self.headers):
            self._stop_parsing(UNREADABLE)
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.in_body = True
            # Trailers are counted and dropped; the application has the list of the headers.
            self.headers = []
            if self.shutting_down:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self.unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self.in_body:
            self.head_bytes += sum(map(len, chain.from_iterable(self.headers)))
            if self.head_bytes > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
                self._stop_parsing(HEAD_TOO_LARGE)
        self.unparsed, self.in_body, self.between_requests = 0, False, self.parser.should_keep_alive()
        self.timer.message_received()
        if self.parser.should_upgrade():
            return
        if not self.between_requests:
            # A trailer may also request an upgrade, and the parser stops there.
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close after the answer under way; an idle connection after `SHUTDOWN_GRACE`."""
        self.timer.shut_down()
        if self._is_answering():
            self.cycle.keep_alive = False
        else:
            self.shutting_down = True
            self.loop.call_later(SHUTDOWN_GRACE, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not self._is_answering():
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_keep_alive_timer(self) -> None:
        # uvicorn starts it with the end of the answer, which may come before the end of the request.
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _stop_parsing(self, status: HTTPStatus) -> None:
        self.rejection = status
        raise _Rejected

    def _on_receive_timeout(self) -> None:
        """Reject a late request; close without an answer where the client sent nothing of one."""
        if self.rejected:
            return
        if self.flow.read_paused:
            self.timer.restart()
        elif self.head_bytes or self.unparsed or self.in_body:
            self._reject(TOO_SLOW)
        else:
            self.rejected = True
            self.transport.close()

    def _reject(self, status: HTTPStatus | None = None) -> None:
        """Read no more, answer with a problem unless that could be taken for another answer, and close."""
        self.rejected, status = True, status or self.rejection
        answering = self._is_answering()
        if answering and not self.in_body:
            # uvicorn closes after the answer under way.
            self.cycle.keep_alive = False
            return
        if not self.in_body or (answering and not self.cycle.response_started):
            self.transport.write(error_response(status, self.server_state.default_headers))
        self.transport.close()

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Parse a request again without its Upgrade header.

        httptools stops before the body of an upgrade, and Java's client asks for HTTP/2 with its first request. CONNECT
        is an upgrade by itself, and rejected.
        """
        method = self.parser.get_method()
        if self._is_answering() or method == b"CONNECT":
            self._reject()
            return
        kept = [(name, value) for name, value in self.headers if name not in UPGRADE_HEADERS]
        lines = [name + b": " + value + b"\r\n" for name, value in [*kept, (b"connection", b"close")]]
        first = method + b" " + self.url + f" HTTP/{self.parser.get_http_version()}\r\n".encode()
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([first, *lines, b"\r\n", rest]))


def has_safe_framing(version: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Return whether every server finds the same end of a request; `headers` have lower-case names."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in SINGLE_HEADERS:
            if name in found:
                return False
            found[name] = value
    if version == "1.1":
        return b"host" in found and found.get(b"transfer-encoding", b"chunked").lower() == b"chunked"
    return version == "1.0" and b"transfer-encoding" not in found


def error_response(status: HTTPStatus, default_headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Log a rejection, and return the whole response, after which the connection closes."""
    structlog.get_logger().warning("refused", status=int(status))
    response = problem(status, "This is no HTTP/1.1 request." if status is UNREADABLE else "")
    headers = [*default_headers, *response.raw_headers, (b"connection", b"close")]
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", bytes(response.body)])
