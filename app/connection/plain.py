"""The rest of a connection whose client asked for another protocol than HTTP/1.1: one request, read by h11."""

from uvicorn.protocols.http.h11_impl import H11Protocol

from app.connection.deadlines import Deadlines
from app.connection.refusals import refused
from app.errors import UNREADABLE


class PlainProtocol(H11Protocol):
    """One connection, for one request."""

    deadlines: Deadlines

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self.deadlines.stop()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The service stops."""
        super().shutdown()
        self.deadlines.hurry()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.more_body:
            self.deadlines.received()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP as it is refused elsewhere; an answer under way is cut, and nothing put into it."""
        if self.cycle is None or not self.cycle.response_started:
            self.transport.write(refused(UNREADABLE, self.server_state.default_headers))
        if self.cycle is not None:
            # Who waits for the rest of the body learns that it will not come, and has nobody left to answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
