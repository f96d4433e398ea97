"""Workers that are killed, stopped, reloaded and ended while clients keep asking (rows 18 to 22)."""

import http.client
import os
import signal
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from tests.harness.service import LIMIT, Service, is_alive
from tests.harness.stores import DATASET

LINK = f"/generate?dataset={DATASET}&count=20"
BODY = f'{{"dataset": "{DATASET}", "count": 20}}'.encode()
WORKERS = 2
# Seconds between two requests of a client: a start is measured, not the clients.
PAUSE = 0.01


@dataclass
class Load:
    """Clients that keep asking, each on a persistent connection, with a `pause` in between. A `body` is POSTed.

    `outcomes`: statuses, errors, and "retried" for a GET on a used connection that ended without a byte of an answer:
    clients send it again (RFC 9110, 9.2.2).
    """

    port: int
    path: str = LINK
    clients: int = 4
    body: bytes | None = None
    pause: float = 0.0
    outcomes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.clients)]

    @property
    def answered(self) -> int:
        return self.outcomes.count("200")

    @property
    def retried(self) -> int:
        return self.outcomes.count("retried")

    @property
    def failures(self) -> list[str]:
        return [outcome for outcome in self.outcomes if outcome not in ("200", "retried")]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Send no more requests."""
        self._over.set()

    def _run(self) -> None:
        connection, used = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT), False
        while not self._over.is_set():
            try:
                self.outcomes.append(str(self._ask(connection)))
                used = connection.sock is not None
            except (OSError, http.client.HTTPException) as error:
                again = used and not self.body and isinstance(error, ConnectionError)
                self.outcomes.append("retried" if again else repr(error))
                # The next request connects again.
                connection.close()
                used = False
                continue
            self._over.wait(self.pause)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> int:
        if self.body:
            connection.request("POST", "/generate", self.body, {"Content-Type": "application/json"})
        else:
            connection.request("GET", self.path)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def replace_worker(service: Service, number: signal.Signals) -> tuple[Load, float, float]:
    """Send a signal to a worker under load; return the load, and the seconds until it was gone and all were back."""
    victim = service.workers()[0]
    with Load(service.port, pause=PAUSE) as load:
        service.until("answers", lambda: load.answered > 20)
        os.kill(victim, number)
        gone = service.until("the end of the worker", lambda: not is_alive(victim))
        back = gone + service.until("all workers", lambda: len(service.workers()) == WORKERS)
        answered = load.answered
        service.until("more answers", lambda: load.answered > answered + 20)
    return load, gone, back


def reload_workers(
    service: Service, reloads: int, requests: int, bodies: tuple[bytes | None, ...] = (None,), pause: float = 0.0
) -> list[Load]:
    """Replace all workers by SIGHUP `reloads` times, under a load of at least `requests` requests of each of `bodies`.

    The clients are those of one load, shared among the bodies. Return the loads.
    """
    clients = Load.clients // len(bodies)
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(service.port, clients=clients, body=body, pause=pause)) for body in bodies]
        for _ in range(reloads):
            old = service.workers()
            service.process.send_signal(signal.SIGHUP)

            def is_reloaded(old: list[int] = old) -> bool:
                return len({*service.workers()} - {*old}) == WORKERS and not any(map(is_alive, old))

            service.until("new workers", is_reloaded)
        service.until("enough requests", lambda: all(load.answered >= requests for load in loads))
    return loads


def stop_under_load(
    service: Service, bodies: tuple[bytes | None, ...] = (None,), clients: int = 8
) -> tuple[list[str], float]:
    """End the service by SIGTERM under a load of each of the `bodies` by this number of clients, None for GET.

    Return the lost requests, and the seconds until it ended. A refused connection is no loss: a client may send that
    request to another server.
    """
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(service.port, clients=clients, body=body)) for body in bodies]
        service.until("answers", lambda: all(load.answered > 20 for load in loads))
        service.process.send_signal(signal.SIGTERM)
        seconds = service.until("the end", lambda: service.process.poll() is not None)
        for load in loads:
            load.stop()
    failures = [failure for load in loads for failure in load.failures]
    return [failure for failure in failures if not failure.startswith(ConnectionRefusedError.__name__)], seconds


def kill_supervisor(service: Service) -> float:
    """Kill the supervisor by SIGKILL, and return the seconds until its workers ended."""
    workers = service.workers()
    service.process.kill()
    return service.until("the end of the workers", lambda: not any(map(is_alive, workers)))
