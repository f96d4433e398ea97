"""HTTP/1.1 as uvicorn and httptools read it, with limits that neither has, and without what helps to smuggle requests.

What is refused here never reaches the application: it is answered with a problem, and the connection is closed.
"""

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.errors import HEAD_TOO_LARGE, UNREADABLE, problem

# Bytes of the address and all headers of a request (its trailers, too), and their number.
MAX_HEAD_BYTES, MAX_HEADERS = 16_384, 100
# Two of these in one request mean different things to different servers (RFC 9112, sections 3.2 and 6.3).
ONCE = (b"host", b"content-length", b"transfer-encoding")
VERSIONS = ("1.0", "1.1")


class _Refused(Exception):
    """Ends the parsing of a request."""


class HttpProtocol(HttpToolsProtocol):
    """One connection. `unread` counts the bytes since the parser last told of something."""

    unread = head_bytes = header_count = 0
    in_head = True
    refusal: HTTPStatus = UNREADABLE

    def data_received(self, data: bytes) -> None:
        """Parse what came. The parser keeps a header to itself until it ends, so its beginning is counted here."""
        self.unread += len(data)
        super().data_received(data)
        if self.unread > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.refusal = HEAD_TOO_LARGE
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.head_bytes = self.header_count = 0
        self.in_head = True

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers, which come after the body, are counted and left out."""
        self._count(len(name) + len(value))
        self.header_count += 1
        if self.header_count > MAX_HEADERS:
            self._refuse(HEAD_TOO_LARGE)
        if self.in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the application have the request, where its headers mean the same to everyone."""
        self.unread, self.in_head = 0, False
        names = [name for name, _ in self.headers]
        hosts, version = names.count(b"host"), self.parser.get_http_version()
        if version not in VERSIONS or (version == "1.1" and not hosts) or any(names.count(name) > 1 for name in ONCE):
            self._refuse(UNREADABLE)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self.unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self.unread = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, and close. (uvicorn calls this for every error of the parser.)

        Nothing is said while an earlier request waits for its answer: the client would take this for it.
        """
        if not self._owes_an_answer():
            answer = problem(self.refusal, "" if self.refusal is HEAD_TOO_LARGE else "This is no HTTP/1.1 request.")
            headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
            lines = [name + b": " + value + b"\r\n" for name, value in headers]
            self.transport.write(b"".join([STATUS_LINE[self.refusal], *lines, b"\r\n", bytes(answer.body)]))
        self.transport.close()

    def _owes_an_answer(self) -> bool:
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        return bool(self.pipeline) or cycle.response_started or not cycle.more_body

    def _count(self, size: int) -> None:
        self.head_bytes += size
        if self.head_bytes > MAX_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)

    def _refuse(self, status: HTTPStatus) -> None:
        self.refusal = status
        raise _Refused
