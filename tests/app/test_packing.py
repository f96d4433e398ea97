"""Heads that wait for their bodies."""

import asyncio
from typing import cast

from app.connection.packing import PackingTransport


class Noted:
    """A transport that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        """Note the data."""
        self.told.append(data)

    def close(self) -> None:
        """Note the end."""
        self.told.append("closed")

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return "closed" in self.told


def packing() -> tuple[PackingTransport, list[bytes | str]]:
    """A packing transport, and what the one below it is told."""
    noted = Noted()
    return PackingTransport(cast(asyncio.Transport, noted)), noted.told


def test_a_head_goes_with_the_first_piece_of_its_body() -> None:
    """Each answer's head and first piece are one write, later pieces are written as they come."""
    transport, told = packing()
    for head in (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n"):
        told.clear()
        transport.write(head)
        assert told == []
        transport.write(b"HTTP/1.1 ")
        transport.write(b"second")
        transport.end()
        assert told == [head + b"HTTP/1.1 ", b"second"]


def test_an_answer_without_body_is_written_at_its_end() -> None:
    """Where nothing follows a head, it is written when the answer ends, or before the connection closes."""
    transport, told = packing()
    transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    transport.end()
    assert told == [b"HTTP/1.1 204 No Content\r\n\r\n"]
    transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    transport.close()
    assert told[1:] == [b"HTTP/1.1 400 Bad Request\r\n\r\n", "closed"]
    assert transport.is_closing()


def test_a_client_that_waits_is_told_to_go_on_at_once() -> None:
    """100 Continue is not kept, and is not the head of the answer that follows."""
    transport, told = packing()
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert told == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
    transport.write(b"body")
    assert told[1:] == [b"HTTP/1.1 200 OK\r\n\r\nbody"]
