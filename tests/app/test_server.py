"""app.server but for its protocol: socket and shutdown, the timeouts of a connection, what workers share."""

import asyncio
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from prometheus_client.mmap_dict import MmapedDict
from structlog.testing import capture_logs
from uvicorn import Config

from app.server import protocol
from app.server.protocol import MIN_BYTES_TAKEN, SHUTDOWN_TIMEOUT, ConnectionTimer, Timeouts
from app.server.server import ACCEPTED_PER_TURN, Server, listen, service_url
from app.server.workers import Backoff, drop_metrics
from app.settings import Settings
from models import ConfigError
from tests.app.running import TIMEOUT
from tests.harness.clock import Clock

ROOT = Path(__file__).parents[2]
CLIENTS = 20
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_connections_that_arrive_together_are_accepted_together() -> None:
    """uvloop itself accepts one in each turn of the event loop."""
    server = Server(Config(answer, http=protocol.HttpProtocol, lifespan="off", log_config=None))
    listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)

    async def serve() -> int:
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listener])
        clients = [socket.create_connection(listener.getsockname(), timeout=TIMEOUT) for _ in range(ACCEPTED_PER_TURN)]
        # A turn to poll the sockets, and one for what that found.
        for _ in range(3):
            await asyncio.sleep(0)
        accepted = len(server.server_state.connections)
        for client in clients:
            client.close()
        await server.shutdown([listener])
        return accepted

    with capture_logs():
        assert uvloop.run(serve()) == ACCEPTED_PER_TURN


def test_pending_connections_are_answered_at_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that the busy server has not accepted yet; later ones are refused."""
    for limit in ("SHUTDOWN_GRACE", "SHUTDOWN_TIMEOUT"):
        monkeypatch.setattr(protocol, limit, TIMEOUT)
    timeouts = protocol.Timeouts(TIMEOUT, TIMEOUT, TIMEOUT)
    http: Any = partial(protocol.HttpProtocol, timeouts=timeouts)
    server = Server(Config(answer, http=http, lifespan="off", log_config=None, timeout_keep_alive=0))
    listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)
    address = listener.getsockname()
    started, asked = threading.Event(), threading.Event()

    async def serve() -> None:
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listener])
        started.set()
        # The event loop accepts nothing meanwhile.
        asked.wait(TIMEOUT)
        await server.shutdown([listener])

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    with capture_logs() as log:
        thread.start()
        assert started.wait(TIMEOUT)
        last, *clients = [socket.create_connection(address, timeout=TIMEOUT) for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(GET)
        asked.set()
        # The shutdown has begun.
        last.sendall(GET)
        for client in (last, *clients):
            with client:
                response = b"".join(iter(partial(client.recv, 65536), b""))
                assert response.startswith(b"HTTP/1.1 200 OK")
        thread.join(TIMEOUT)
    assert not thread.is_alive()
    assert [line["event"] for line in log] == ["stopping"]
    with socket.socket() as late:
        assert late.connect_ex(address) != 0


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::1", "http://[::1]:1"),
        ("::", "http://[::1]:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("localhost", "http://localhost:1"),
    ],
)
def test_service_url_is_reachable_from_this_machine(host: str, url: str) -> None:
    assert service_url(Settings(host=host, port=1)) == url


@pytest.mark.parametrize("host", ["203.0.113.1", "nowhere.invalid"])
def test_unavailable_host_is_an_error_about_the_host(host: str) -> None:
    with pytest.raises(ConfigError, match="host must be an address of this machine") as failure:
        listen(Settings(host=host, port=0))
    assert "--port" not in str(failure.value)


class Connection:
    """A `ConnectionTimer` with its event loop and transport: 8 s to receive, 30 s to send, 8 s to shut down."""

    def __init__(self) -> None:
        self.now, self.unsent, self.aborted, self.receive_timeouts = 100.0, 0, False, 0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.timer = ConnectionTimer(self, self, Timeouts(8, 30, 8), self.count_timeout)  # type: ignore[arg-type]

    def count_timeout(self) -> None:
        self.receive_timeouts += 1

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> SimpleNamespace:
        timer = (self.now + seconds, callback)
        self.timers.append(timer)
        return SimpleNamespace(cancel=lambda: self.timers.remove(timer))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.aborted = True

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= end]:
            timer = min(due, key=lambda each: each[0])
            self.timers.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = end


@pytest.fixture
def connection() -> Connection:
    return Connection()


def test_receive_timeout_counts_from_the_first_byte(connection: Connection) -> None:
    connection.wait(7)
    connection.timer.message_started()
    assert connection.receive_timeouts == 0
    connection.wait(2)
    assert connection.receive_timeouts == 1
    connection.wait(100)
    assert connection.receive_timeouts == 1


def test_idle_connection_has_no_receive_timeout(connection: Connection) -> None:
    connection.timer.message_received()
    connection.wait(1000)
    assert connection.receive_timeouts == 0
    connection.timer.message_started()
    connection.wait(7)
    assert connection.receive_timeouts == 0
    connection.wait(2)
    assert connection.receive_timeouts == 1


def test_client_that_takes_nothing_is_disconnected(connection: Connection) -> None:
    """Data written meanwhile does not extend its 30 s."""
    connection.timer.message_received()
    connection.unsent = 100_000
    for _ in range(29):
        connection.wait(1)
        connection.unsent += 1000
    assert not connection.aborted
    connection.wait(2)
    assert connection.aborted


def test_client_must_take_a_minimum_within_the_send_timeout(connection: Connection) -> None:
    """16 KiB in 30 s are enough without end; a byte a second is not."""
    connection.timer.message_received()
    connection.unsent = 10_000_000
    for _ in range(20):
        connection.wait(28)
        connection.unsent -= MIN_BYTES_TAKEN
    assert not connection.aborted
    for _ in range(40):
        connection.wait(1)
        connection.unsent -= 1
    assert connection.aborted


def test_client_that_took_everything_is_not_disconnected(connection: Connection) -> None:
    connection.timer.message_received()
    connection.wait(1000)
    assert not connection.aborted


def test_shutdown_shortens_all_timeouts(connection: Connection) -> None:
    """Two seconds to receive or to take something, and after eight every connection is aborted."""
    stalled, idle, receiving = Connection(), Connection(), connection
    stalled.timer.message_received()
    idle.timer.message_received()
    stalled.unsent = 100
    for each in (stalled, idle, receiving):
        each.timer.shut_down()
        each.wait(SHUTDOWN_TIMEOUT + 1)
    assert (stalled.aborted, idle.aborted, receiving.receive_timeouts) == (True, False, 1)
    idle.wait(6)
    assert idle.aborted


def test_closed_connection_leaves_no_timer(connection: Connection) -> None:
    connection.timer.cancel()
    connection.wait(1000)
    assert connection.receive_timeouts == 0
    assert connection.timers == []


def test_counters_of_a_dead_process_stay(tmp_path: Path) -> None:
    """Its gauges, its files of zeros and those without a head go; files of other processes stay."""
    for name, value in (("counter_1", 2.0), ("histogram_1", 0.0), ("gauge_livesum_1", 3.0), ("counter_11", 0.0)):
        file = MmapedDict(str(tmp_path / f"{name}.db"))  # type: ignore[no-untyped-call]
        file.write_value("key", value, 0.0)  # type: ignore[no-untyped-call]
        file.close()  # type: ignore[no-untyped-call]
    (tmp_path / "summary_1.db").write_bytes(b"")
    drop_metrics(tmp_path, 1)
    assert {path.stem for path in tmp_path.glob("*.db")} == {"counter_1", "counter_11"}


def test_backoff_doubles_up_to_a_minute() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    assert backoff.due()
    assert [backoff.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    clock.now = 59.9
    assert not backoff.due()
    clock.now = 60.0
    assert backoff.due()
    backoff.failed()
    backoff.reset()
    assert backoff.due()
    assert backoff.failed() == 1
