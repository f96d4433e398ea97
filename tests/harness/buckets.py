"""An S3 server (moto) in a process of its own, and a server in front of it that has faults."""

import http.client
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import Any

from tests.harness.clock import until
from tests.harness.service import ROOT, free_port, is_listening

BUCKET = "models"
MOTO = ROOT / ".venv-moto/bin/moto_server"
CONDITIONS = ("if-match", "if-none-match")
DENIED = b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"
# Seconds: it only ends a hang.
LIMIT = 60.0


def moto_server() -> str | None:
    """Return the path of the program, or None."""
    return str(MOTO) if MOTO.exists() else which("moto_server")


@contextmanager
def running_moto(program: str, log: Path) -> Iterator[int]:
    """Run the server with the empty bucket `BUCKET`, and yield its port."""
    port = free_port()
    with log.open("wb") as file:
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=file, stderr=file)
    try:
        until(lambda: process.poll() is not None or is_listening(port))
        assert process.poll() is None, log.read_text("utf-8")
        ask(port, "PUT", f"/{BUCKET}")
        yield port
    finally:
        process.kill()
        process.wait()


def ask(port: int, method: str, path: str, body: bytes | None = None) -> bytes:
    """Send a request, and return the body of the answer, which must be good."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "text/plain"}, method=method
    )
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:
        content: bytes = answer.read()
        return content


class FaultyServer(ThreadingHTTPServer):
    """A server that hands requests on to the port `behind`, and has a `fault` where method and path contain `where`.

    Faults: "slow", "500", "denied", "cut" (half of a body), "wrong" (a flipped bit), "lost" (the request arrives, its
    answer does not), and the name of a header that is left out.
    """

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.fault, self.where = "", ""
        self.requests = list[str]()
        self.over = threading.Event()
        # How many times the fault is still to happen.
        self.times = 0

    def set_fault(self, fault: str, where: str = "", times: int = 10**9) -> None:
        """Have a fault from now on; "" means none."""
        self.fault, self.where, self.times = fault, where, times

    def fault_of(self, line: str) -> str:
        """Return the fault of a request, and count it."""
        if not self.fault or self.where not in line or not self.times:
            return ""
        self.times -= 1
        return self.fault

    @property
    def address(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *arguments: object) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def _answer(self) -> None:
        line = f"{self.command} {self.path}"
        self.server.requests.append(line)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.fault_of(line)
        if fault == "slow":
            self.server.over.wait(LIMIT)
            self.close_connection = True
        elif fault == "500":
            self._send(500, {}, b"<Error><Code>InternalError</Code></Error>")
        elif fault == "denied":
            self._send(403, {}, DENIED)
        else:
            self._hand_on(body, fault)

    def _hand_on(self, body: bytes, fault: str) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() != fault}
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=LIMIT)
        behind.request(self.command, self.path, body, headers)
        answer = behind.getresponse()
        content = answer.read()
        behind.close()
        if fault == "lost":
            self.close_connection = True
            return
        if fault == "wrong":
            content = content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]
        self._send(answer.status, dict(answer.getheaders()), content, fault == "cut")

    def _send(self, status: int, headers: dict[str, str], content: bytes, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        size = int(headers.get("Content-Length", 0)) if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = cut

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@contextmanager
def faulty_server(behind: int) -> Iterator[FaultyServer]:
    """Run a server with faults in front of the port `behind`."""
    server = FaultyServer(behind)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
