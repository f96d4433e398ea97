"""uvicorn's server, which says in the log that it stops. What it serves, and who else does, is not known here."""

import asyncio
import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType

import structlog
import uvicorn


class Server(uvicorn.Server):
    """Serves until SIGTERM or Ctrl-C, or until it is hung up on."""

    hung_up = False

    def hang_up(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGHUP where nobody supervises: end as SIGTERM does."""
        # No line here: a signal may come in the middle of another.
        self.hung_up = self.should_exit = True

    def listen_for_hang_up(self) -> None:
        """Handle SIGHUP, unless whoever started the process wants it ignored, as nohup does."""
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.hang_up)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        # What is there now stays. The collector's passes over it would stop everything for a tenth of a second.
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so, let answers end, and stop."""
        log = structlog.get_logger()
        if self.hung_up:
            log.warning(
                "SIGHUP ends the service: one process cannot be replaced while it serves; with NAMEWAVE_WORKERS=2 "
                "SIGHUP reloads"
            )
        log.info("stopping")
        await self._take_in(sockets or [])
        await super().shutdown(sockets)

    async def _take_in(self, sockets: list[socket.socket]) -> None:
        """Let nobody come any more, and those in who have come: the system took their connections, and would cut off
        whoever still waits at a socket when it is closed.
        """
        taken = [connection for listener in sockets for connection in _waiting_at(listener)]
        # Nothing may be awaited in between: somebody would come.
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        for connection in taken:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection, ssl=self.config.ssl)

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def _waiting_at(listener: socket.socket) -> Iterator[socket.socket]:
    """Return the connections that nobody has taken yet."""
    listener.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield listener.accept()[0]
