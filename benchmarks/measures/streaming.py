"""A stream of a million names over HTTP: its speed, and the memory of the server."""

import json
import os
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measures.processes import NotMeasuredError, Process, started, wait_until
from tests.harness.service import free_port

COUNT = 1_000_000
BODY = {"count": COUNT, "unique": False, "model": "wavenet", "seed": 1}
NOT_BUILT = (404, 406, 415, 422)
SERVER_CORE, READER_CORE = 0, 1


@dataclass
class _MemorySampler:
    """Samples the server's memory until stopped, and keeps the maximum."""

    process: Process
    highest: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event)

    def sample(self) -> None:
        while not self.stopped.wait(0.02):
            self.highest = max(self.highest, self.process.resident())


def measure() -> dict[str, float | int | str]:
    """Return names a second and MiB of growth. Raises `NotMeasuredError`, also if the service has no streams."""
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
        with started(command, port, Path(name), [SERVER_CORE]) as process:
            wait_until(process, "/health/ready")
            _read(port, 1000)  # what the first stream loads is not growth
            before = process.resident()
            watch = _MemorySampler(process)
            looking = threading.Thread(target=watch.sample)
            looking.start()
            try:
                began = time.perf_counter()
                lines = _read(port, COUNT)
                seconds = time.perf_counter() - began
            finally:
                watch.stopped.set()
                looking.join()
    if lines != COUNT:
        raise NotMeasuredError(f"the stream had {lines:,} lines, not {COUNT:,}")
    return {
        "seconds": round(seconds, 3),
        "names": round(COUNT / seconds),
        "before_mib": round(before, 1),
        "growth_mib": round(max(watch.highest - before, 0.0), 1),
    }


def _read(port: int, count: int) -> int:
    """Request `count` names as text on the reader's core; return the number of lines in the body."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [READER_CORE])
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
            content = json.dumps({**BODY, "count": count})
            connection.sendall(
                (
                    f"POST /generate HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/plain\r\nConnection: close\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n{content}"
                ).encode()
            )
            return count_lines(connection)
    finally:
        os.sched_setaffinity(0, allowed)


def count_lines(connection: socket.socket) -> int:
    """Return the number of lines in a chunked body.

    Chunk framing ends in CR LF and a name in LF alone, so the chunks need not be decoded.
    """
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(2**16)
        if not piece:
            raise NotMeasuredError("the connection was closed before an answer")
        head += piece
    status = int(head.split(b" ", 2)[1])
    if status != 200:
        reason = "not there yet" if status in NOT_BUILT else "refused"
        raise NotMeasuredError(f"{reason}: a stream of text is answered with {status}")
    lines, last, piece = 0, b"", head.partition(b"\r\n\r\n")[2]
    while True:
        lines += piece.count(b"\n") - piece.count(b"\r\n") - (last == b"\r" and piece[:1] == b"\n")
        last = piece[-1:]
        piece = connection.recv(2**20)
        if not piece:
            return lines
