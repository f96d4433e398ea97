"""HTTP/1.1 as uvicorn and httptools read it, with limits that neither has, and without what helps to smuggle requests.

What is refused here never reaches the application: it is answered with a problem, and the connection is closed.
"""

import asyncio
import math
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.connection.deadlines import Deadlines, Patience
from app.connection.flow import HeldFlow
from app.connection.framing import MAX_HEAD_BYTES, MAX_HEADERS, is_plain
from app.connection.packing import PackingTransport
from app.connection.plain import PlainProtocol
from app.connection.refusals import refused
from app.connection.unchunking import Unchunked
from app.errors import HEAD_TOO_LARGE, TOO_SLOW, UNREADABLE

# Seconds for which connections without a request stay open when the service is told to stop: what is asked meanwhile is
# answered, and tells the client to close. Without them, who asks at that moment would get no answer.
LINGER = 0.5
# Bytes that are parsed at a time. A read holds thousands of small requests; while some wait, no more are made of it.
SLICE = 1024
# What a client says that would rather talk HTTP/2 or WebSocket.
SWITCHING = (b"connection", b"upgrade", b"http2-settings")


class _Refused(Exception):
    """Ends the parsing of a request."""


class HttpProtocol(HttpToolsProtocol):
    """One connection. `unread` counts the bytes since the parser last told of something."""

    unread = head_bytes = header_count = 0
    in_body = refused = leaving = False
    # Whether the next byte begins a request, and when the last one was refused at the gate (the loop's time).
    between, turned_away = True, -math.inf
    # What came and is not parsed yet, while requests wait; the request that is being answered, or was the last to be.
    rest = b""
    answering: RequestResponseCycle | None = None
    flow: HeldFlow
    refusal: HTTPStatus = UNREADABLE
    packing: PackingTransport
    deadlines: Deadlines

    def __init__(self, *arguments: Any, patience: Patience = Patience(), **named: Any) -> None:  # noqa: B008
        super().__init__(*arguments, **named)
        self.patience = patience

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        self.packing = PackingTransport(transport)
        self.transport, self.flow = cast(asyncio.Transport, self.packing), HeldFlow(transport)
        self.deadlines = Deadlines(self.loop, self.packing, self.patience, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self.deadlines.stop()
        self.rest = b""
        if self.answering is not None:
            # uvicorn tells only the request that came last.
            self.answering.disconnected = not self.answering.response_complete
            self.answering.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """End an answer, and go on with what waits."""
        self.packing.end()
        super().on_response_complete()
        if not (self.pipeline or self.refused or self.transport.is_closing()):
            if self.rest:
                self.loop.call_soon(self._go_on)
            else:
                self.flow.let_go()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self.refused:
            # The answer that is under way is all that the client still gets: it has nothing more to say.
            self.flow.hold()
        elif not (self.between and self._turn_away(data)):
            self.deadlines.begin()
            self.rest += data
            self._go_on()

    def _go_on(self) -> None:
        """Parse what is there, until requests wait for the answer to one before them; what is left is not read yet."""
        self._unset_keepalive_if_required()
        data, at, self.rest = self.rest, 0, b""
        while at < len(data) and not self.pipeline and self._parse(data, at):
            at += SLICE
        if self.pipeline and not self.refused:
            self.rest = data[at:]
            self.flow.hold()
        elif at >= len(data):
            self.flow.let_go()
            if self.between and not self._owes():
                # It was answered before it was there as a whole: uvicorn would wait for the next one for ever.
                self._wait_for_another()

    def _parse(self, data: bytes, at: int) -> bool:
        """Parse a slice, and say whether to go on. The parser keeps a header to itself until it ends, so its beginning
        is counted here.
        """
        piece = data[at : at + SLICE]
        self.between = False
        self.unread += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay_with_http(data[at + upgrade.args[0] :])
            return False
        except httptools.HttpParserError:
            self._end()
            return False
        if self.unread > MAX_HEAD_BYTES:
            self.refusal = HEAD_TOO_LARGE
            self._end()
        return not self.refused

    def _wait_for_another(self) -> None:
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.between = False
        self.deadlines.begin()
        self.head_bytes = self.header_count = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        self.head_bytes += len(url)
        if self.head_bytes > MAX_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers, which come after the body, are counted and left out."""
        self.head_bytes += len(name) + len(value)
        self.header_count += 1
        if self.head_bytes > MAX_HEAD_BYTES or self.header_count > MAX_HEADERS:
            self._refuse(HEAD_TOO_LARGE)
        if not self.in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the application have the request, where its headers mean the same to everyone."""
        self.unread = 0
        if not is_plain(self.parser.get_http_version(), self.headers):
            self._refuse(UNREADABLE)
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.in_body = True
            if self.leaving:
                self.cycle.keep_alive = False
            if self.scope["http_version"] == "1.0":
                self.cycle.send = Unchunked(self.cycle)  # type: ignore[method-assign]

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self.unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self.unread, self.in_body, self.between = 0, False, self.parser.should_keep_alive()
        self.deadlines.received()
        if self.parser.should_upgrade():
            return
        if not self.between:
            # A trailer may say so as well, and the parser will read no more.
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close after the answer under way, or after a moment in which a request may come."""
        self.deadlines.hurry()
        if not self._owes():
            self.leaving = True
            self.loop.call_later(LINGER, self._leave)
        else:
            self.cycle.keep_alive = False

    def _turn_away(self, data: bytes) -> bool:
        """Refuse a request before it is understood, where the gate is closed to it."""
        gate = self.app_state.get("gate")
        if gate is None or self.rest or self.leaving or self.flow.write_paused or self._owes():
            return False
        refusal = gate.refusal(data)
        if refusal is None:
            return False
        own = [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        self.deadlines.received()
        self.transport.write(b"".join([STATUS_LINE[503], *own, refusal]))
        if self.timeout_keep_alive_task is None:
            self.on_response_complete()
        else:
            # The timer runs on: a new one for each refusal would cost as much as to read it.
            self.packing.end()
            self.server_state.total_requests += 1
            self.turned_away = self.loop.time()
        return True

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing was asked for a while."""
        left = self.turned_away + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            super().timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)

    def _owes(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _leave(self) -> None:
        if not self._owes():
            self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        self.refusal = status
        raise _Refused

    def _late(self) -> None:
        """Refuse a request that did not arrive in time; a client that sent nothing of one is not answered."""
        if self.refused:
            return
        if self.flow.read_paused:
            # It was we who did not read on.
            self.deadlines.again()
        elif self.head_bytes or self.unread or self.in_body:
            self.refusal = TOO_SLOW
            self._end()
        else:
            self.refused = True
            self.transport.close()

    def _end(self) -> None:
        """Read no more of this connection, tell why where that cannot be taken for another answer, and close."""
        self.refused = True
        owing = self._owes()
        if owing and not self.in_body:
            # What came before is answered first, and then uvicorn closes.
            self.cycle.keep_alive = False
            return
        untold = owing and not self.cycle.response_started and not self.pipeline
        if untold or not self.in_body:
            self.transport.write(refused(self.refusal, self.server_state.default_headers))
        self.transport.close()

    def _stay_with_http(self, rest: bytes) -> None:
        """Answer a request that asks for another protocol as if it did not, and close.

        httptools stops before the body of such a request, and would take that for the next one; h11 reads on. (Java's
        client asks for HTTP/2 with every first request.)
        """
        if self._owes():
            self._end()
            return
        self.connections.discard(self)
        kept = [(name, value) for name, value in self.headers if name not in SWITCHING]
        lines = [name + b": " + value + b"\r\n" for name, value in [*kept, (b"connection", b"close")]]
        first = self.parser.get_method() + b" " + self.url + f" HTTP/{self.parser.get_http_version()}\r\n".encode()
        plain = PlainProtocol(self.config, self.server_state, self.app_state)
        self.deadlines.stop()
        self.packing.keep_nothing()
        plain.deadlines = Deadlines(self.loop, self.packing, self.patience, self.packing.abort)
        plain.connection_made(self.transport)
        self.transport.set_protocol(plain)
        plain.data_received(b"".join([first, *lines, b"\r\n", rest]))
