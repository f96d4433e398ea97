"""How the names of a stream are counted, from the bytes of an answer in chunks."""

import socket

import pytest

from benchmarks.measures.processes import NotMeasuredError
from benchmarks.measures.streaming import count_lines

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def sent(pieces: list[bytes]) -> int:
    """Count the lines of an answer that comes in these pieces."""
    here, there = socket.socketpair()
    with here, there:
        for piece in pieces:
            there.sendall(piece)
        there.shutdown(socket.SHUT_WR)
        return count_lines(here)


def test_frames_of_chunks_are_no_lines() -> None:
    """Three names in two chunks are three lines, whatever stands around the chunks."""
    assert sent([HEAD + b"9\r\nAnna\nBob\n\r\n6\r\nCelia\n\r\n0\r\n\r\n"]) == 3


def test_lines_do_not_depend_on_where_the_network_cuts() -> None:
    """Read byte by byte, so that every CR stands apart from its LF, the count is the same."""

    class OneByte(socket.socket):
        def recv(self, *_: int) -> bytes:
            return super().recv(1)

    here, there = socket.socketpair()
    with there, OneByte(fileno=here.detach()) as slow:
        there.sendall(HEAD + b"9\r\nAnna\nBob\n\r\n6\r\nCelia\n\r\n0\r\n\r\n")
        there.shutdown(socket.SHUT_WR)
        assert count_lines(slow) == 3


def test_a_service_without_streams_says_so() -> None:
    """406 is the answer of a service that has no streams yet: there is no figure, and the reason is told."""
    with pytest.raises(NotMeasuredError, match="not there yet"):
        sent([b"HTTP/1.1 406 Not Acceptable\r\nContent-Length: 0\r\n\r\n"])
