"""The account of requests: each has an id, a line in the log and a place in the metrics, whoever answers it."""

import random
import re
import time
from collections.abc import Callable
from http import HTTPStatus

from app.errors import REASONS
from app.logs import Event, Tell, tell
from app.metrics import Metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Ledger:
    """Knows what is told of a request. Nothing that a client wrote gets into it, but an id that is harmless."""

    def __init__(
        self,
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
        bits: Callable[[int], int] | None = None,
    ) -> None:
        self.metrics, self.clock = metrics, clock
        # An id must differ from all others and needs no secrecy; the system's own bits would cost a call for each.
        self._bits = bits or random.Random().getrandbits
        # What writes lines; the log's setting up may know a faster one.
        self.tell: Tell = tell

    def request_id(self, given: str) -> str:
        """Return the id of a request: what its client calls it, where that is harmless, or a new one."""
        return given if REQUEST_ID.fullmatch(given) else f"{self._bits(128):032x}"

    def enter(
        self,
        request_id: str,
        method: str,
        route: str,
        status: int,
        head: float,
        whole: float,
        refusal: str | None = None,
        **told: str,
    ) -> None:
        """Count and log a request that is over. Seconds until its answer's `head` was there, and its `whole` answer;
        `refusal`: what refused it, where its status says too little of that; `told`: what else its line says.
        """
        self._count(route, status, head, refusal)
        self.tell([_event(request_id, method, route, status, whole) | told])

    def _count(self, route: str, status: int, head: float, refusal: str | None) -> None:
        self.metrics.answered(route, status, head)
        if status in REASONS:
            self.metrics.refused(refusal or REASONS[HTTPStatus(status)])


def _event(request_id: str, method: str, route: str, status: int, whole: float) -> Event:
    return {
        "event": "request",
        "request_id": request_id,
        "method": method if method in METHODS else "(other)",
        "route": route,
        "status": status,
        "milliseconds": round(whole * 1000, 2),
    }
