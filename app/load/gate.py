"""The gate before everything: what the doors would refuse is refused as it comes from the connection, before a parser
or a task sees it. There are most of such requests when there is least time for any.

Only a request so plain that all readers would read it alike is refused here, and only where it came whole; any other
is understood first, and gets the same answer from `door`.
"""

import re
from functools import lru_cache

from app.connection.framing import MAX_HEADERS
from app.errors import UNAVAILABLE, overloaded
from app.ledger import Ledger
from app.load.admission import Admission
from app.load.door import DRAWING, wants_many
from app.load.wicket import Wicket
from app.safe_headers import with_safe_headers

PATHS = "|".join(DRAWING).encode()
HEAD = re.compile(rb"(GET|POST) (" + PATHS + rb")(?:\?([!\x22$-~]*))? HTTP/1\.1\r\n((?:[A-Za-z0-9-]+:[ -~]*\r\n)+)\r\n")
# What changes how a request is read, or what its answer tells.
UNUSUAL = frozenset({b"expect", b"origin", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"})
HOST, LENGTH, CONNECTION, ID = b"host", b"content-length", b"connection", b"x-request-id"
# Bytes; whoever sends more is understood first.
LARGEST = 16_384
# Where the parts of an answer come apart: no header of ours has it.
HERE = "\0"


class Gate:
    """Says what a request is refused with, before anything of it is understood. For one event loop. `vary`: what an
    answer depends on.
    """

    def __init__(self, admission: Admission, ledger: Ledger, vary: str = "") -> None:
        self._admission, self._ledger, self._wicket = admission, ledger, Wicket(admission)
        self._vary = vary

    def refusal(self, data: bytes) -> bytes | None:
        """Return the answer, but for its status line and what the server tells of itself, where `data` is a request to
        be refused; the refusal is counted and will be logged. None where it is to be understood.
        """
        if not self._admission.has_queue() or len(data) > LARGEST:
            return None
        began = self._ledger.clock()
        head = HEAD.match(data)
        if head is None:
            return None
        headers = plain(head[4])
        if headers is None or len(data) - head.end() != _length(headers):
            return None
        route = head[2].decode()
        if not wants_many(route, data[head.end() :], head[3] or b"") and self._wicket.lets_in():
            return None
        request_id = self._ledger.request_id(headers.get(ID, b"").decode())
        seconds = self._ledger.clock() - began
        self._ledger.enter_soon(request_id, head[1].decode(), route, int(UNAVAILABLE), seconds, "overload")
        before, after = _answer(self._admission.refusal().seconds, self._vary)
        return before + request_id.encode() + after


def plain(lines: bytes) -> dict[bytes, bytes] | None:
    """Return headers by their names in lower case; None where one is repeated, or unusual."""
    headers, number = {}, 0
    for line in lines.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.lower()] = value.strip()
            number += 1
    if len(headers) < number or number > MAX_HEADERS or HOST not in headers or not UNUSUAL.isdisjoint(headers):
        return None
    return headers if headers.get(CONNECTION, b"keep-alive").lower() == b"keep-alive" else None


def _length(headers: dict[bytes, bytes]) -> int:
    said = headers.get(LENGTH, b"0")
    return int(said) if said.isdigit() and len(said) <= len(str(LARGEST)) else -1


@lru_cache(maxsize=64)
def _answer(seconds: int, vary: str) -> tuple[bytes, bytes]:
    """Return what comes before the request's id, and after it."""
    answer = overloaded(seconds)
    if vary:
        answer.headers["Vary"] = vary
    lines = [name + b": " + value + b"\r\n" for name, value in with_safe_headers(answer.raw_headers, HERE)]
    before, _, after = b"".join(lines).partition(HERE.encode())
    return before, after + b"\r\n" + bytes(answer.body)
