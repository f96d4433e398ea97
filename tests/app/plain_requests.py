"""Requests to draw that are so plain that the gate may refuse them, and a service without room for any."""

import json
import math

from app.load.admission import Admission

HOST = b"Host: x\r\n"
BODY = json.dumps({"dataset": "elves", "count": 500}).encode()
SMALL_BODY = json.dumps({"dataset": "elves", "count": 5}).encode()


def post(body: bytes = BODY, more: bytes = b"", path: bytes = b"/generate") -> bytes:
    """A plain request."""
    return b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path, HOST, more, len(body), body)


def get(address: bytes, more: bytes = b"") -> bytes:
    """A plain link."""
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (address, HOST, more)


def fill(admission: Admission) -> None:
    """Leave no room, not even for small requests."""
    admission.add(100.0)
    admission._calm -= 10
    admission._small_from = math.inf


PLAIN = {
    "body": post(),
    "no body": get(b"/generate?count=5"),
    "no query": get(b"/next"),
    "names to judge": post(b'{"names":["a"]}', path=b"/score"),
    "no JSON": post(b"\0\xff"),
    "an id": post(more=b"X-Request-ID: a.b-C_1\r\n"),
    "a harmful id": post(more=b"X-Request-ID: a b\r\n"),
    "an address": post(more=b"X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n"),
    "kept alive": post(more=b"Connection: Keep-Alive\r\n"),
    "an empty header": post(more=b"Accept:\r\n"),
}
