"""How long a client is borne, by a clock that the test moves."""

from collections.abc import Callable

import pytest

from app.connection.protocol import MIN_BYTES_TAKEN, SHUTDOWN_TIMEOUT, ConnectionTimer, Timeouts


class Timer:
    """A timer that can be cancelled."""

    cancelled = False

    def cancel(self) -> None:
        """Do not call."""
        self.cancelled = True


class Loop:
    """An event loop of timers only."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waiting: list[tuple[float, Timer, Callable[[], None]]] = []

    def time(self) -> float:
        """The time."""
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call later."""
        self.waiting.append((self.now + seconds, Timer(), call))
        return self.waiting[-1][1]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while due := sorted((entry for entry in self.waiting if entry[0] <= end), key=lambda entry: entry[0]):
            self.now = due[0][0]
            self.waiting.remove(due[0])
            if not due[0][1].cancelled:
                due[0][2]()
        self.now = end


class Transport:
    """What was written, and what is left of it."""

    left = 0
    aborted = False

    def get_write_buffer_size(self) -> int:
        """What waits."""
        return self.left

    def abort(self) -> None:
        """Cut off."""
        self.aborted = True


class Connection:
    """A connection with patience of 8 s to receive, 30 s to send, 8 s to leave."""

    def __init__(self) -> None:
        self.loop, self.transport, self.late = Loop(), Transport(), 0
        self.timer = ConnectionTimer(self.loop, self.transport, Timeouts(8, 30, 8), self.was_late)  # type: ignore[arg-type]

    def was_late(self) -> None:
        """Count."""
        self.late += 1


@pytest.fixture
def connection() -> Connection:
    """One."""
    return Connection()


def test_a_request_has_its_time(connection: Connection) -> None:
    """It is late when its time is over, counted from its beginning whatever came since, and told once."""
    connection.loop.run(7)
    connection.timer.message_started()
    assert connection.late == 0
    connection.loop.run(2)
    assert connection.late == 1
    connection.loop.run(100)
    assert connection.late == 1


def test_between_requests_no_time_runs(connection: Connection) -> None:
    """After a request came whole, none is late until the next one began."""
    connection.timer.message_received()
    connection.loop.run(1000)
    assert connection.late == 0
    connection.timer.message_started()
    connection.loop.run(7)
    assert connection.late == 0
    connection.loop.run(2)
    assert connection.late == 1


def test_who_takes_nothing_is_cut_off(connection: Connection) -> None:
    """A client that leaves an answer where it is has 30 s; what is written meanwhile does not help it."""
    connection.timer.message_received()
    connection.transport.left = 100_000
    for _ in range(29):
        connection.loop.run(1)
        connection.transport.left += 1000
    assert not connection.transport.aborted
    connection.loop.run(2)
    assert connection.transport.aborted


def test_who_takes_enough_is_borne(connection: Connection) -> None:
    """16 KiB in 30 s are enough, for ever; a byte a second is not."""
    connection.timer.message_received()
    connection.transport.left = 10_000_000
    for _ in range(20):
        connection.loop.run(28)
        connection.transport.left -= MIN_BYTES_TAKEN
    assert not connection.transport.aborted
    for _ in range(40):
        connection.loop.run(1)
        connection.transport.left -= 1
    assert connection.transport.aborted


def test_who_has_taken_all_is_not_held_to_it(connection: Connection) -> None:
    """Nothing left to take is no fault, however long ago the last byte was taken."""
    connection.timer.message_received()
    connection.loop.run(1000)
    assert not connection.transport.aborted


def test_when_the_service_stops_patience_is_short(connection: Connection) -> None:
    """Then two seconds are enough to be late or to take nothing, and after eight everyone is cut off."""
    idle, reading, trickling = Connection(), Connection(), connection
    idle.timer.message_received()
    reading.timer.message_received()
    idle.transport.left = 100
    for each in (idle, reading, trickling):
        each.timer.shut_down()
        each.loop.run(SHUTDOWN_TIMEOUT + 1)
    assert (idle.transport.aborted, reading.transport.aborted, trickling.late) == (True, False, 1)
    reading.loop.run(6)
    assert reading.transport.aborted


def test_a_lost_connection_is_forgotten(connection: Connection) -> None:
    """No timer is left behind."""
    connection.timer.cancel()
    connection.loop.run(1000)
    assert connection.late == 0
    assert connection.loop.waiting == []
