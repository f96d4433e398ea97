"""The uvicorn server of one process: its socket, its configuration, its start and its shutdown."""

import asyncio
import errno
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, cast

import structlog
import uvicorn

from app.server.protocol import HttpProtocol, Timeouts
from app.settings import Settings
from models.errors import ConfigError

# Bytes of an answer that the system buffers for a client: by default megabytes for each client that does not read,
# which is then noticed late.
SEND_BUFFER = 262_144
# How many connections are accepted in one turn of the event loop. uvloop accepts one for each listening socket; while
# requests keep the loop busy, the last of many clients that connect together would wait a turn for each before it.
ACCEPTED_PER_TURN = 16
# Hosts that mean all addresses, and a local address that reaches them.
WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
# Seconds: for answers under way at shutdown (Docker waits 15), for the last of them after their clients were
# disconnected, and for a worker to start.
SHUTDOWN_SECONDS, ABORT_SECONDS, START_SECONDS = 10, 8, 120


def listen(settings: Settings) -> list[socket.socket]:
    """Return sockets bound to the ports of the settings: the service's, then that of metrics if it has its own.

    Raises `ConfigError`.
    """
    if settings.metrics_port and settings.metrics_port == settings.port:
        raise ConfigError(
            f"NAMEWAVE_METRICS_PORT and NAMEWAVE_PORT are both {settings.port}; give two ports, or leave out the first."
        )
    listeners = [_bound(settings, settings.port)]
    try:
        return [*listeners, _bound(settings, settings.metrics_port)] if settings.metrics_port else listeners
    except ConfigError:
        listeners[0].close()
        raise


def _bound(settings: Settings, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    try:
        listener.bind((settings.host, port))
    except OSError as error:
        listener.close()
        place = f"{_bracketed(settings.host)}:{port}"
        raise ConfigError(f"cannot listen on {place}: {error.strerror}. {_advice(error, settings, port)}") from None
    listener.set_inheritable(True)
    return listener


def _advice(error: OSError, settings: Settings, port: int) -> str:
    if error.errno in (errno.EADDRINUSE, errno.EACCES) and port == settings.metrics_port != 0:
        return "Give another NAMEWAVE_METRICS_PORT."
    if error.errno == errno.EADDRINUSE:
        return "Another port: --port 8001, or make serve PORT=8001."
    if error.errno == errno.EACCES:
        return "Ports below 1024 may be for the system only: --port 8001, or make serve PORT=8001."
    return "The host must be an address of this machine: --host 127.0.0.1, or 0.0.0.0 for all."


def service_url(settings: Settings) -> str:
    """Return the URL of the service on this machine: http://127.0.0.1:8000."""
    return f"http://{_bracketed(WILDCARD_HOSTS.get(settings.host, settings.host))}:{settings.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def uvicorn_config(app: Callable[..., Any], settings: Settings) -> uvicorn.Config:
    """Return the configuration that serves `app`, which is a factory where there are several workers."""
    timeouts = Timeouts(settings.receive_seconds, settings.send_seconds, ABORT_SECONDS)
    return uvicorn.Config(
        app,
        factory=settings.workers > 1,
        workers=settings.workers,
        # A partial can be sent to a worker process, and is called as the class would be.
        http=cast(type[HttpProtocol], partial(HttpProtocol, timeouts=timeouts)),
        timeout_keep_alive=settings.keep_alive_seconds,
        access_log=False,
        log_config=None,
        log_level="warning",
        lifespan="on",
        # uvicorn would believe X-Forwarded-For of everybody on this machine; see `ClientIdentifier`.
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_worker_healthcheck=START_SECONDS,
    )


class Server(uvicorn.Server):
    """Serves until SIGTERM, Ctrl-C, or SIGHUP to a single process."""

    hung_up = False

    def hang_up(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGHUP without a supervisor: shut down."""
        # No log line: a signal may come in the middle of another.
        self.hung_up = self.should_exit = True

    def handle_hang_up(self) -> None:
        """Install the handler of SIGHUP, unless the signal is ignored, as nohup does."""
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.hang_up)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        if sockets and self.config.workers == 1:
            # Several processes take one at a time, so that connections spread over them.
            sockets = [*sockets, *(each.dup() for each in sockets for _ in range(ACCEPTED_PER_TURN - 1))]
        await super().startup(sockets)
        # Loaded objects stay, and scanning them would make the garbage collector pause for a tenth of a second.
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Log it, finish answers under way, and stop."""
        log = structlog.get_logger()
        if self.hung_up:
            log.warning(
                "SIGHUP ends the service: one process cannot be replaced while it serves; with NAMEWAVE_WORKERS=2 "
                "SIGHUP reloads"
            )
        log.info("stopping")
        await self._accept_pending(sockets or [])
        await super().shutdown(sockets)

    async def _accept_pending(self, sockets: list[socket.socket]) -> None:
        """Close the listeners, but serve the connections of their backlog, which would be reset."""
        pending = [connection for listener in sockets for connection in _pending(listener)]
        # Nothing is awaited in between, or another connection would come.
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        for connection in pending:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection, ssl=self.config.ssl)

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _pending(listener: socket.socket) -> Iterator[socket.socket]:
    listener.setblocking(False)
    # Without file descriptors left, the others are reset; the shutdown goes on.
    with suppress(OSError):
        while True:
            yield listener.accept()[0]
